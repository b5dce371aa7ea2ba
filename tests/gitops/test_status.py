"""How far a source commit is: real git on both sides, a forge, and no cluster."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from innerloop.events import StepProgress
from innerloop.gitops.forges.forge import CommitStatus
from innerloop.gitops.progress.reporting import report
from innerloop.gitops.progress.waiting import wait_for
from innerloop.gitops.repository.git import RepositoryUnreachable
from tests.gitops.forge.repository import Style
from tests.gitops.git_http import GitServer, serving_git
from tests.gitops.outer import World
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("isolated")


@pytest.fixture(params=["folder", "branch"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path, layout=request.param)


@pytest.fixture
def one(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_before_its_first_promotion_an_environment_has_nothing(world: World) -> None:
    found = await world.look(world.commit())
    assert (found.state, found.message, found.settled) == ("not promoted", "stage has nothing of it yet", True)


async def test_a_commit_in_a_pull_request_is_told_with_its_url(world: World) -> None:
    commit = world.commit()
    pull = world.propose(commit)
    found = await world.look(commit)
    assert (found.state, found.message, found.settled) == ("in pull request", found.pull_request, False)
    assert found.pull_request.endswith(f"/pull/{pull.number}")


async def test_a_commit_may_be_proposed_as_part_of_a_newer_one(one: World) -> None:
    older, newer = one.commit(), one.commit()
    one.propose(newer)
    found = await one.look(older)
    assert (found.state, found.message) == ("in pull request", f"as part of {newer[:7]}, {found.pull_request}")


@pytest.mark.parametrize("style", ["merge", "squash"])
async def test_a_merged_commit_is_found_however_it_was_merged(world: World, style: Style) -> None:
    commit = world.commit()
    pull = world.propose(commit)
    merged = world.merge(pull, style)
    found = await world.look(commit)
    assert (found.state, found.promoted, found.gitops_commit) == ("merged", commit, merged)
    assert found.pull_request.endswith(f"/pull/{pull.number}")


async def test_a_commit_that_is_proposed_once_more_with_another_content_is_in_its_pull_request(world: World) -> None:
    commit = world.commit()
    world.promote(commit, title="Cats")
    pull = world.propose(commit, title="Dogs")
    found = await world.look(commit)
    assert (found.state, found.settled) == ("in pull request", False)
    assert found.pull_request.endswith(f"/pull/{pull.number}")
    world.merge(pull)
    assert (await world.look(commit)).state == "merged"


async def test_what_was_promoted_with_changes_that_no_commit_has_is_told_so(one: World) -> None:
    commit = one.commit()
    one.merge(one.propose(commit, clean=False))
    found = await one.look(commit)
    words = "with changes that no commit has; no cluster tells whether it is applied"
    assert (found.state, found.message) == ("merged", words)


async def test_others_commits_behind_it_do_not_hide_a_promotion(one: World) -> None:
    commit = one.commit()
    merged = one.promote(commit)
    for number in range(4):
        one.remote.commit({f"stage/other/{number}.yaml": "a: 1\n"})
    found = await one.look(commit)
    assert (found.state, found.gitops_commit) == ("merged", merged)


async def test_a_commit_that_a_newer_one_contains_is_overtaken(world: World) -> None:
    older, newer = world.commit(), world.commit()
    world.promote(newer)
    found = await world.look(older)
    words = f"stage has {newer[:7]}, which contains it and is merged: no cluster tells whether it is applied"
    assert (found.state, found.message, found.settled) == ("overtaken", words, True)


async def test_a_commit_that_is_newer_than_what_is_there_is_not_promoted(one: World) -> None:
    older = one.commit()
    one.promote(older)
    found = await one.look(one.commit())
    assert (found.state, found.message, found.promoted) == ("not promoted", f"stage has {older[:7]}", older)


async def test_a_commit_that_was_rolled_back_from_is_overtaken(one: World) -> None:
    older, newer = one.commit(), one.commit()
    one.promote(newer)
    one.promote(older, title="Dogs", rolled_back=newer)
    found = await one.look(newer)
    words = f"stage was rolled back from {newer[:7]} to {older[:7]}"
    assert (found.state, found.message, found.settled) == ("overtaken", words, True)
    assert (await one.look(older)).state == "merged"


async def test_a_commit_that_is_proposed_again_after_a_rollback_is_in_its_pull_request(one: World) -> None:
    older, newer = one.commit(), one.commit()
    one.promote(newer)
    one.promote(older, title="Dogs", rolled_back=newer)
    one.propose(newer, title="Birds")
    assert (await one.look(newer)).state == "in pull request"


async def test_a_closed_pull_request_is_told(one: World) -> None:
    commit = one.commit()
    one.forge_side.close(one.propose(commit))
    found = await one.look(commit)
    assert (found.state, found.settled) == ("not promoted", True)
    assert found.message == f"its pull request was closed: {found.pull_request}"


async def test_what_is_merged_a_moment_before_the_branch_shows_it_is_waited_for(one: World) -> None:
    commit = one.commit()
    pull = one.propose(commit)
    pull.state, pull.merge_commit = "merged", "0" * 40
    found = await one.look(commit)
    assert (found.state, found.settled) == ("merged", False)


async def test_what_was_merged_and_then_replaced_by_hand_is_overtaken(one: World) -> None:
    commit = one.commit()
    one.promote(commit)
    one.remote.commit({one.place.metadata: None})
    found = await one.look(commit)
    assert (found.state, found.settled) == ("overtaken", True)
    assert "stage has something else since" in found.message


async def test_a_commit_that_the_clone_lacks_is_told_with_what_to_do(one: World) -> None:
    one.promote("1" * 40)
    found = await one.look(one.commit())
    words = "stage has 1111111, which the clone does not know, or not all of its history: git fetch"
    assert (found.state, found.message) == ("not promoted", words)


async def test_a_commit_of_another_branch_is_not_promoted(one: World) -> None:
    one.commit()
    one.git("switch", "--quiet", "--create", "feature")
    feature = one.commit()
    one.git("switch", "--quiet", "-")
    other = one.commit()
    one.promote(other)
    found = await one.look(feature)
    assert (found.state, found.message) == ("not promoted", f"stage has {other[:7]}")


async def test_messages_of_commits_do_not_count(one: World) -> None:
    commit = one.commit()
    one.remote.commit({"a": "1"}, message=f"Merge deploy/{commit}\n\nSource-Commit: {commit}\n")
    assert (await one.look(commit)).state == "not promoted"


async def test_a_forge_that_does_not_answer_is_told_and_the_rest_is_known(one: World) -> None:
    commit = one.commit()
    one.promote(commit)
    async with one.inquiry(commit) as inquiry:
        assert one.forge is not None
        one.forge.lacks_scope = True
        found = await inquiry.look()
    assert (found.state, found.pull_request) == ("merged", "")
    assert [words.partition(":")[0] for words in found.hidden] == ["the pull request"]


async def test_a_repository_that_is_away_for_a_moment_is_waited_for(one: World) -> None:
    older, newer = one.commit(), one.commit()
    one.propose(older)

    def messages() -> list[str]:
        return [event.message for event in one.events if isinstance(event, StepProgress)]

    async def weather(server: GitServer) -> None:
        await until(lambda: messages(), what="the pull request is seen")
        server.down = True
        await until(lambda: "asking again" in messages()[-1], what="the server is missed")
        one.promote(newer)
        server.down = False

    async with (
        serving_git(one.remote.folder.parent) as server,
        one.inquiry(older, url=f"{server.url}/ops.git") as inquiry,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(weather(server), name="weather")
        found = await wait_for(inquiry, one.events.append, environment="stage", seconds=60, every=0.05)
    assert found.state == "overtaken"


async def test_a_repository_that_was_never_there_is_not_waited_for(one: World) -> None:
    async with serving_git(one.remote.folder.parent) as server:
        server.down = True
        async with one.inquiry(one.commit(), url=f"{server.url}/ops.git") as inquiry:
            with pytest.raises(RepositoryUnreachable):
                await wait_for(inquiry, one.events.append, environment="stage", seconds=60)


async def told(world: World, commit: str) -> dict[str, list[tuple[str, str, str]]]:
    """Statuses by commit after a report."""
    async with world.inquiry(commit) as inquiry:
        await report(await inquiry.look(), gitops=world.adapter, source=world.adapter)
    return {
        commit: [(one.context, one.state, one.description) for one in statuses]
        for commit, statuses in world.forge_side.statuses.items()
    }


async def test_nothing_is_told_of_what_was_never_promoted(one: World) -> None:
    assert await told(one, one.commit()) == {}


async def test_a_pull_request_is_told_at_the_source(one: World) -> None:
    commit = one.commit()
    one.propose(commit)
    assert await told(one, commit) == {commit: [("innerloop/stage", "pending", "in pull request")]}
    assert one.forge_side.statuses[commit][0].url.endswith("/pull/1")


async def test_a_merge_is_told_on_both_sides(one: World) -> None:
    commit = one.commit()
    merged = one.promote(commit)
    status = ("innerloop/stage", "pending", "merged: no cluster tells whether it is applied")
    assert await told(one, commit) == {commit: [status], merged: [status]}


async def test_an_overtaken_commit_gets_a_final_status_and_its_successor_none(one: World) -> None:
    older, newer = one.commit(), one.commit()
    one.promote(newer)
    found = await told(one, older)
    assert list(found) == [older]
    assert found[older][0][1] == "success"


async def test_a_healthy_and_a_failed_commit_become_green_and_red(one: World) -> None:
    commit = one.commit()
    one.promote(commit)
    async with one.inquiry(commit) as inquiry:
        merged = await inquiry.look()
        healthy = msgspec.structs.replace(merged, state="healthy", message="")
        failed = msgspec.structs.replace(merged, state="failed", message="Deployment/web: crashes")
        for progress in (healthy, failed):
            await report(progress, gitops=None, source=one.adapter)
        statuses = await one.adapter.statuses(commit)
    url = merged.pull_request
    assert statuses == [CommitStatus("innerloop/stage", "failure", "failed: Deployment/web: crashes", url)]
    assert [status.state for status in one.forge_side.statuses[commit]] == ["success", "failure"]
