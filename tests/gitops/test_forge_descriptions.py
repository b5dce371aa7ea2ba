"""Every request held to the forge's own description of its API, and the test's forge with it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from innerloop.gitops.forges.errors import ForgeError
from innerloop.gitops.forges.forge import CommitStatus, Forge, Proposal
from tests.gitops import azure_client, descriptions
from tests.gitops.conftest import adapter_of
from tests.gitops.forge.repository import commit_of
from tests.gitops.forge.server import Forge as Server

pytestmark = [
    pytest.mark.skipif(bool(descriptions.missing()), reason=descriptions.missing()),
    # npm has to fetch 75 MB the first time
    pytest.mark.timeout(600),
]
PREFIXES = {"github": "/api/v3", "gitea": "/api/v1", "bitbucket": "/2.0"}
PROPOSAL = Proposal("promote/vote/stage", "main", "Promote vote", "Two objects change.", ("promotion",), ("alice",))
COMMIT = commit_of("some commit")
EVERYWHERE = {"bitbucket": {"q", "sort", "pagelen"}}
"""What Bitbucket's documentation says of all lists, and its description of none."""


@pytest.fixture
async def described(kind: str, server: Server) -> AsyncIterator[Forge]:
    async with (
        descriptions.checked(kind, server.url + PREFIXES[kind]) as url,
        adapter_of(kind, server.url, base=url) as forge,
    ):
        yield forge


@pytest.mark.parametrize("kind", descriptions.SOURCES, indirect=True)
async def test_all_that_is_asked_and_answered_is_as_described(described: Forge, server: Server, kind: str) -> None:
    made = await described.create(PROPOSAL)
    assert await described.find(PROPOSAL.head, PROPOSAL.base) == made
    await described.update(made.number, PROPOSAL._replace(labels=("env/stage", "bug"), reviewers=("bob",)))
    commit = server.repository.merge(made.number)
    if kind != "gitea":
        # of a commit's pull request the description of Gitea 1.20 does not know
        assert await described.of_commit(commit) == made._replace(state="merged", merge_commit=commit)
    another = await described.create(PROPOSAL)
    await described.close(another.number, "Overtaken.")
    status = CommitStatus("innerloop/stage", "failure", "Not healthy", "https://example.com/1")
    await described.set_status(COMMIT, status)
    assert await described.statuses(COMMIT) == [status]
    for seen in server.requests:
        path = seen.path.removeprefix(PREFIXES[kind])
        unknown = descriptions.unknown_parameters(kind, seen.method, path, set(seen.query))
        assert not unknown - EVERYWHERE.get(kind, set()), (seen.method, path)


@pytest.mark.parametrize("kind", ["github"], indirect=True)
async def test_what_is_not_as_described_is_noticed(described: Forge) -> None:
    with pytest.raises(ForgeError):
        await described.set_status(COMMIT, CommitStatus("innerloop/stage", "failure", "", url=5))  # type: ignore[arg-type]


AZURE_TYPES = {
    "pullrequests": "GitPullRequest",
    "labels": "WebApiCreateTagRequestData",
    "reviewers": "IdentityRefWithVote",
    "threads": "GitPullRequestCommentThread",
    "pullrequestquery": "GitPullRequestQuery",
    "statuses": "GitStatus",
}
"""What is sent to a path that ends so, with or without a number."""


@pytest.mark.parametrize("kind", ["azure"], indirect=True)
async def test_azure_devops_is_asked_for_nothing_that_its_own_client_does_not_know(
    forge: Forge, server: Server
) -> None:
    made = await forge.create(PROPOSAL)
    await forge.update(made.number, PROPOSAL._replace(labels=("env/stage",), reviewers=("bob",)))
    await forge.close(made.number, "Overtaken.")
    await forge.of_commit(COMMIT)
    await forge.set_status(COMMIT, CommitStatus("innerloop/stage", "failure", "Not healthy", "https://example.com/1"))
    fields = azure_client.declared()
    sent = [seen for seen in server.requests if seen.body]
    for seen in sent:
        kind = next(kind for end, kind in AZURE_TYPES.items() if end in seen.path.split("/")[-2:])
        assert not azure_client.unknown(fields, kind, seen.body), seen.path
        for parameter in seen.query:
            _, _, criterion = parameter.partition("searchCriteria.")
            assert not criterion or criterion in fields["GitPullRequestSearchCriteria"]
    assert len(sent) == 8


def test_a_field_that_the_client_of_azure_devops_does_not_know_is_noticed() -> None:
    body = {"title": "x", "reviewers": [{"id": "1", "votes": 0}], "body": "x"}
    found = azure_client.unknown(azure_client.declared(), "GitPullRequest", body)
    assert found == ["reviewers.votes of IdentityRefWithVote", "body of GitPullRequest"]
