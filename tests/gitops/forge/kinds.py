"""Each kind of forge, both sides of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from innerloop.gitops.forges import address, azure, bitbucket, gitea, github, gitlab, http
from innerloop.gitops.forges.forge import Forge as Adapter
from innerloop.gitops.forges.http import Patience
from innerloop.gitops.forges.tokens import Token
from innerloop.kube.access import Secret
from tests.gitops.forge.azure import AzureDevOps
from tests.gitops.forge.bitbucket import Bitbucket
from tests.gitops.forge.gitea import Gitea
from tests.gitops.forge.github import GitHub
from tests.gitops.forge.gitlab import GitLab
from tests.gitops.forge.repository import Repository
from tests.gitops.forge.server import TOKEN

QUICK = Patience(attempts=4, pause=0.001, longest_wait=1.0, timeout=10.0)


class Kind(NamedTuple):
    """One kind of forge, both sides of it."""

    speaker: Callable[[Repository], Any]
    module: Any
    adapter: Callable[..., Adapter]
    path: str
    """Of the repository, on the server."""


KINDS = {
    "github": Kind(GitHub, github, github.GitHub, "acme/vote"),
    "gitlab": Kind(GitLab, gitlab, gitlab.GitLab, "acme/shop/vote"),
    "azure": Kind(AzureDevOps, azure, azure.AzureDevOps, "acme/online shop/_git/vote"),
    "gitea": Kind(Gitea, gitea, gitea.Gitea, "acme/vote"),
    "bitbucket": Kind(Bitbucket, bitbucket, bitbucket.Bitbucket, "acme/vote"),
}


@asynccontextmanager
async def adapter_of(
    name: str,
    url: str,
    *,
    token: str = TOKEN,
    source: str = "THE_TOKEN",
    base: str | None = None,
    patience: Patience = QUICK,
) -> AsyncIterator[Adapter]:
    """The adapter of a kind, for the forge at ``url``."""
    kind = KINDS[name]
    where = address.parse(f"{url}/{kind.path}.git")
    assert where is not None
    if name == "bitbucket":
        # of its cloud there is one
        base = base or f"{url}/2.0"
    used = Token(Secret(token), source)
    async with http.connect(
        base or kind.module.base(where), used, kind.module.DIALECT, kind.module.headers(used), patience
    ) as api:
        yield kind.adapter(api, where)
