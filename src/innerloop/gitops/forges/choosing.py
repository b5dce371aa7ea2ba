"""From a repository's address to its forge."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Literal, NamedTuple

from innerloop.gitops.forges import address, azure, bitbucket, gitea, github, gitlab, tokens
from innerloop.gitops.forges.address import Address
from innerloop.gitops.forges.answers import Dialect
from innerloop.gitops.forges.errors import UnknownForge
from innerloop.gitops.forges.forge import Forge
from innerloop.gitops.forges.http import Api, Patience, connect
from innerloop.gitops.forges.plain import PlainGit
from innerloop.gitops.forges.tokens import Token

Kind = Literal["github", "gitlab", "azure", "gitea", "bitbucket", "git"]

_HOSTS: dict[str, Kind] = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "dev.azure.com": "azure",
    "ssh.dev.azure.com": "azure",
    "gitea.com": "gitea",
    "codeberg.org": "gitea",
    "bitbucket.org": "bitbucket",
}
_DOMAINS: dict[str, Kind] = {".ghe.com": "github", ".visualstudio.com": "azure"}


class _Adapter(NamedTuple):
    base: Callable[[Address], str]
    headers: Callable[[Token], dict[str, str]]
    dialect: Dialect
    forge: Callable[[Api, Address], Forge]


_ADAPTERS = {
    "github": _Adapter(github.base, github.headers, github.DIALECT, github.GitHub),
    "gitlab": _Adapter(gitlab.base, gitlab.headers, gitlab.DIALECT, gitlab.GitLab),
    "azure": _Adapter(azure.base, azure.headers, azure.DIALECT, azure.AzureDevOps),
    "gitea": _Adapter(gitea.base, gitea.headers, gitea.DIALECT, gitea.Gitea),
    "bitbucket": _Adapter(bitbucket.base, bitbucket.headers, bitbucket.DIALECT, bitbucket.Bitbucket),
}


def known(host: str) -> Kind | None:
    """The forge that a host is, where it is a public one."""
    return _HOSTS.get(host) or next((kind for domain, kind in _DOMAINS.items() if host.endswith(domain)), None)


def kind_of(repository: str, configured: Kind | None) -> tuple[Kind, Address | None]:
    """Which forge a repository is on. Raises UnknownForge where only the user can know.

    ``configured`` is ``gitops.forge`` of loop.yaml. A repository on this machine's disk is on none.
    """
    where = address.parse(repository)
    if where is None:
        if configured not in (None, "git"):
            raise UnknownForge(f"{repository} names no host, so it is on no forge", hint="take `gitops.forge` away")
        return "git", None
    kind = configured or known(where.host)
    if kind is None:
        raise UnknownForge(
            f"which forge is {where.host}?",
            detail=f"it is none of the public ones: {', '.join([*_HOSTS, *(f'*{domain}' for domain in _DOMAINS)])}",
            hint="say `gitops.forge` in loop.yaml: github, gitlab, azure, gitea (also Forgejo), bitbucket, or git to"
            " push a branch and nothing else",
        )
    return kind, where


@asynccontextmanager
async def forge_of(
    repository: str,
    configured: Kind | None,
    environment: Mapping[str, str] = os.environ,
    patience: Patience | None = None,
) -> AsyncIterator[Forge]:
    """The forge of a repository, for as long as the block lasts. Raises UnknownForge, NoToken."""
    kind, where = kind_of(repository, configured)
    if kind == "git" or where is None:
        yield PlainGit(where, known(where.host) if where else None)
        return
    adapter = _ADAPTERS[kind]
    base = adapter.base(where)
    token = await tokens.find(kind, where, environment)
    async with connect(base, token, adapter.dialect, adapter.headers(token), patience) as api:
        yield adapter.forge(api, where)
