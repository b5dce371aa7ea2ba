"""What every forge does alike, each against a server with its API and its quirks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from innerloop.gitops.forges.errors import ForgeError, Invalid
from innerloop.gitops.forges.forge import CommitStatus, Forge, Proposal
from tests.gitops.conftest import adapter_of
from tests.gitops.forge.bitbucket import Bitbucket
from tests.gitops.forge.repository import Repository, commit_of
from tests.gitops.forge.server import Fault, serving
from tests.gitops.forge.server import Forge as Server

PROPOSAL = Proposal("promote/vote/stage", "main", "Promote vote to stage", "Two objects change.")
DRESSED = PROPOSAL._replace(labels=("promotion", "env/stage"), reviewers=("alice", "bob"))
COMMIT = commit_of("some commit")


async def test_finds_nothing_where_nothing_was_proposed(forge: Forge, server: Server) -> None:
    server.repository.add("promote/vote/prod", "main")
    server.repository.add("promote/vote/stage", "other")
    assert await forge.find(PROPOSAL.head, PROPOSAL.base) is None


async def test_creates_what_was_proposed(forge: Forge, server: Server) -> None:
    made = await forge.create(PROPOSAL)
    [pull] = server.repository.pulls
    assert (pull.head, pull.base, pull.title, pull.body) == PROPOSAL[:4]
    assert made.url.startswith("http") and made.url.endswith(str(made.number))
    assert (made.number, made.state, made.merge_commit) == (pull.number, "open", "")
    assert (made.head, made.base, made.title, made.body) == PROPOSAL[:4]
    assert made.head_commit == commit_of(PROPOSAL.head)


async def test_finds_what_it_created(forge: Forge) -> None:
    made = await forge.create(PROPOSAL)
    assert await forge.find(PROPOSAL.head, PROPOSAL.base) == made


async def test_finds_the_whole_text(forge: Forge) -> None:
    made = await forge.create(PROPOSAL._replace(body="a line of text\n" * 200))
    found = await forge.find(PROPOSAL.head, PROPOSAL.base)
    assert found is not None and found.body == made.body == "a line of text\n" * 200


async def test_finds_the_open_one_among_many_that_ended(forge: Forge, server: Server) -> None:
    for _ in range(3):
        made = await forge.create(PROPOSAL)
        server.repository.merge(made.number)
        server.repository.settle()
    still_open = await forge.create(PROPOSAL)
    assert await forge.find(PROPOSAL.head, PROPOSAL.base) == still_open


async def test_finds_the_last_that_ended_where_none_is_open(forge: Forge, server: Server) -> None:
    for _ in range(3):
        made = await forge.create(PROPOSAL)
        commit = server.repository.merge(made.number)
        server.repository.settle()
    assert await forge.find(PROPOSAL.head, PROPOSAL.base) == made._replace(state="merged", merge_commit=commit)


async def test_does_not_take_a_forks_branch_of_that_name_for_ours(forge: Forge, server: Server) -> None:
    server.repository.add(PROPOSAL.head, PROPOSAL.base, "from a stranger", from_fork=True)
    assert await forge.find(PROPOSAL.head, PROPOSAL.base) is None


async def test_finds_a_branch_of_an_odd_name(forge: Forge, server: Server) -> None:
    odd = PROPOSAL._replace(head='o"d+näme#&1/x')
    made = await forge.create(odd)
    assert await forge.find(odd.head, odd.base) == made


async def test_looks_through_all_pages_for_the_open_one(forge: Forge, server: Server) -> None:
    server.page_limit = 2
    made = await forge.create(PROPOSAL)
    for number in range(5):
        server.repository.add(f"another/{number}", "main")
    assert await forge.find(PROPOSAL.head, PROPOSAL.base) == made


async def test_gives_labels_and_reviewers(forge: Forge, server: Server, kind: str) -> None:
    await forge.create(DRESSED)
    [pull] = server.repository.pulls
    assert sorted(pull.reviewers) == ["alice", "bob"]
    assert sorted(pull.labels) == ([] if kind == "bitbucket" else ["env/stage", "promotion"])


async def test_updates_title_and_text(forge: Forge, server: Server) -> None:
    made = await forge.create(PROPOSAL)
    updated = await forge.update(made.number, PROPOSAL._replace(title="Another", body="Three objects change."))
    assert updated == made._replace(title="Another", body="Three objects change.")
    assert await forge.find(PROPOSAL.head, PROPOSAL.base) == updated


async def test_an_update_keeps_labels_and_reviewers_of_others(forge: Forge, server: Server, kind: str) -> None:
    made = await forge.create(PROPOSAL._replace(labels=("bug",), reviewers=("bob",)))
    await forge.update(made.number, PROPOSAL._replace(labels=("promotion",), reviewers=("alice",)))
    [pull] = server.repository.pulls
    assert sorted(pull.reviewers) == ["alice", "bob"]
    assert sorted(pull.labels) == ([] if kind == "bitbucket" else ["bug", "promotion"])


async def test_an_update_does_not_ask_again_who_has_reviewed(forge: Forge, server: Server) -> None:
    made = await forge.create(DRESSED)
    [pull] = server.repository.pulls
    pull.reviewed = ["alice"]
    await forge.update(made.number, DRESSED)
    assert pull.reviewed == ["alice"]


async def test_whoever_makes_it_may_be_among_the_reviewers(forge: Forge, server: Server) -> None:
    made = await forge.create(PROPOSAL._replace(reviewers=("robot", "alice")))
    await forge.update(made.number, PROPOSAL._replace(reviewers=("robot", "alice")))
    assert "alice" in server.repository.pulls[0].reviewers


async def test_an_unknown_reviewer_is_named(forge: Forge, server: Server) -> None:
    with pytest.raises(ForgeError) as caught:
        await forge.create(PROPOSAL._replace(reviewers=("mallory",)))
    assert "mallory" in f"{caught.value.message} {caught.value.detail}"


async def test_creating_what_is_there_updates_it(forge: Forge, server: Server) -> None:
    made = await forge.create(PROPOSAL)
    again = await forge.create(PROPOSAL._replace(title="Another"))
    assert again == made._replace(title="Another")
    assert len(server.repository.pulls) == 1


async def test_two_at_once_make_one(forge: Forge, server: Server) -> None:
    made = await asyncio.gather(*(forge.create(DRESSED) for _ in range(4)))
    assert len({pull.number for pull in made}) == len(server.repository.pulls) == 1


async def test_a_branch_that_is_not_there_is_told_in_the_forges_words(forge: Forge, server: Server) -> None:
    def missing(branch: str) -> str:
        raise KeyError(branch)

    server.repository.head_of = missing
    with pytest.raises(Invalid) as caught:
        await forge.create(PROPOSAL)
    assert "no branch" in caught.value.words


async def test_a_long_text_is_cut_to_what_the_forge_takes(forge: Forge) -> None:
    body = "```diff\n" + "+ a line of the difference\n" * 60_000 + "```\n"
    made = await forge.create(PROPOSAL._replace(body=body, title="t" * 1000))
    assert made.body.count("```") == 2
    assert made.body.rstrip("*").endswith("takes.")
    assert len(made.title) in range(250, 401)


async def test_closes_with_the_reason(forge: Forge, server: Server) -> None:
    made = await forge.create(PROPOSAL)
    await forge.close(made.number, "Overtaken by #2.")
    [pull] = server.repository.pulls
    assert (pull.state, pull.comments) == ("closed", ["Overtaken by #2."])
    found = await forge.find(PROPOSAL.head, PROPOSAL.base)
    assert found is not None and found.state == "closed"


async def test_closing_twice_comments_once(forge: Forge, server: Server) -> None:
    made = await forge.create(PROPOSAL)
    await forge.close(made.number, "Overtaken.")
    await forge.close(made.number, "Overtaken.")
    assert server.repository.pulls[0].comments == ["Overtaken."]


async def test_leaves_a_merged_one_alone_when_asked_to_close_it(forge: Forge, server: Server) -> None:
    made = await forge.create(PROPOSAL)
    server.repository.merge(made.number)
    server.repository.settle()
    await forge.close(made.number, "Overtaken.")
    assert server.repository.pulls[0].state == "merged"


@pytest.mark.parametrize("style", ["merge", "squash"])
async def test_a_merge_commit_leads_back_to_its_pull_request(forge: Forge, server: Server, style: Any) -> None:
    made = await forge.create(PROPOSAL)
    commit = server.repository.merge(made.number, style)
    server.repository.settle()
    assert await forge.of_commit(commit) == made._replace(state="merged", merge_commit=commit)


async def test_a_merge_commit_of_bitbucket_leads_back_by_its_index() -> None:
    speaker = Bitbucket(Repository())
    speaker.indexed = True
    async with serving(speaker) as server, adapter_of("bitbucket", server.url) as forge:
        made = await forge.create(PROPOSAL)
        commit = server.repository.merge(made.number)
        assert await forge.of_commit(commit) == made._replace(state="merged", merge_commit=commit)


async def test_a_commit_that_nobody_proposed_leads_nowhere(forge: Forge, server: Server) -> None:
    assert await forge.of_commit(COMMIT) is None


async def test_a_commit_that_is_only_proposed_leads_nowhere(forge: Forge, server: Server) -> None:
    made = await forge.create(PROPOSAL)
    assert await forge.of_commit(made.head_commit) is None


async def test_a_merge_is_seen_by_and_by(forge: Forge, server: Server) -> None:
    made = await forge.create(PROPOSAL)
    commit = server.repository.merge(made.number)
    await forge.find(PROPOSAL.head, PROPOSAL.base)
    found = await forge.find(PROPOSAL.head, PROPOSAL.base)
    assert found is not None and (found.state, found.merge_commit) == ("merged", commit)


@pytest.mark.parametrize("state", ["pending", "success", "failure"])
async def test_a_status_is_read_as_it_was_set(forge: Forge, state: Any) -> None:
    status = CommitStatus("innerloop/stage", state, "Applied by Flux", "https://example.com/1")
    await forge.set_status(COMMIT, status)
    assert await forge.statuses(COMMIT) == [status]


async def test_an_error_is_red(forge: Forge) -> None:
    await forge.set_status(COMMIT, CommitStatus("innerloop/stage", "error", "cannot tell"))
    [status] = await forge.statuses(COMMIT)
    assert status.state in ("error", "failure")


async def test_setting_the_same_status_twice_is_no_error(forge: Forge) -> None:
    status = CommitStatus("innerloop/stage", "pending", "In a pull request", "https://example.com/1")
    await forge.set_status(COMMIT, status)
    await forge.set_status(COMMIT, status)
    assert await forge.statuses(COMMIT) == [status]


async def test_of_each_context_the_last_status_counts(forge: Forge) -> None:
    url = "https://example.com/1"
    for state in ("pending", "failure", "pending", "success"):
        await forge.set_status(COMMIT, CommitStatus("innerloop/stage", state, "", url))
    await forge.set_status(COMMIT, CommitStatus("innerloop/prod", "pending", "", url))
    assert {status.context: status.state for status in await forge.statuses(COMMIT)} == {
        "innerloop/stage": "success",
        "innerloop/prod": "pending",
    }


async def test_reads_the_statuses_of_all_pages(forge: Forge, server: Server, kind: str) -> None:
    server.page_limit = 3
    # Azure DevOps gives as many as it is asked for
    wanted = {f"check/{number}" for number in range(250 if kind == "azure" else 8)}
    for context in wanted:
        server.repository.set_status(COMMIT, context, "success" if kind != "azure" else "succeeded", "", "x")
    if kind == "bitbucket":
        for status in server.repository.statuses[COMMIT]:
            status.state = "SUCCESSFUL"
    found = await forge.statuses(COMMIT)
    assert {status.context for status in found} == wanted
    assert {status.state for status in found} == {"success"}


async def test_a_long_description_of_a_status_is_cut(forge: Forge) -> None:
    await forge.set_status(COMMIT, CommitStatus("innerloop/stage", "failure", "so " * 1000))
    [status] = await forge.statuses(COMMIT)
    assert status.description.startswith("so so") and status.description.endswith("…")


async def test_long_contexts_stay_apart(forge: Forge) -> None:
    contexts = {f"innerloop/a-very-long-environment-name-of-the-shop/{name}" for name in ("eu", "us")}
    for context in contexts:
        await forge.set_status(COMMIT, CommitStatus(context, "success", ""))
    assert {status.context for status in await forge.statuses(COMMIT)} == contexts


async def test_a_pull_request_whose_making_went_unanswered_is_not_made_twice(forge: Forge, server: Server) -> None:
    server.faults.append(Fault(502, method="POST", path="pull", done=True))
    server.faults.append(Fault(502, method="POST", path="merge_requests", done=True))
    with pytest.raises(ForgeError):
        await forge.create(PROPOSAL)
    made = await forge.create(PROPOSAL)
    assert len(server.repository.pulls) == 1
    assert made.number == 1
