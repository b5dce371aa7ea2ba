"""From what loop.yaml says to a forge that answers."""

from __future__ import annotations

import pytest

from innerloop.gitops.forges.choosing import Kind, forge_of
from innerloop.gitops.forges.errors import NoToken, UnknownForge
from innerloop.gitops.forges.forge import Proposal
from tests.gitops.conftest import KINDS
from tests.gitops.forge.server import TOKEN, Forge

PROPOSAL = Proposal("promote/vote/stage", "main", "Promote vote to stage", "Two objects change.")
OF_ONES_OWN = pytest.mark.parametrize("kind", ["github", "gitlab", "azure", "gitea"], indirect=True)


@OF_ONES_OWN
async def test_a_forge_of_ones_own_is_reached_by_its_repositorys_address(kind: Kind, server: Forge) -> None:
    repository = f"{server.url}/{KINDS[kind].path}"
    async with forge_of(repository, kind, {"LOOP_FORGE_TOKEN": TOKEN}) as forge:
        made = await forge.create(PROPOSAL)
        assert await forge.find(PROPOSAL.head, PROPOSAL.base) == made


@OF_ONES_OWN
async def test_reviewers_are_found_on_it(kind: Kind, server: Forge) -> None:
    repository = f"{server.url}/{KINDS[kind].path}"
    async with forge_of(repository, kind, {"LOOP_FORGE_TOKEN": TOKEN}) as forge:
        await forge.create(PROPOSAL._replace(reviewers=("alice",)))
    assert server.repository.pulls[0].reviewers == ["alice"]


async def test_without_a_token_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoToken, match="Gitea"):
        async with forge_of("https://codeberg.org/acme/vote", None, {}):
            pass


@pytest.mark.parametrize("kind", ["github", "gitlab", "gitea", "bitbucket"])
async def test_an_address_without_an_owner_is_told(kind: Kind) -> None:
    host = "bitbucket.org" if kind == "bitbucket" else "example.com"
    with pytest.raises(UnknownForge, match="no address of a repository"):
        async with forge_of(f"https://{host}/vote.git", kind, {"LOOP_FORGE_TOKEN": "secret"}):
            pass
