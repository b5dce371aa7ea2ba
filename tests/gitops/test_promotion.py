"""One pull request that makes an environment what was rendered, whatever else happens meanwhile."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from innerloop.errors import LoopError
from innerloop.events import Event, StepStarted
from innerloop.gitops.differences.markdown import counted
from innerloop.gitops.forges import azure
from innerloop.gitops.promotion.promotion import WouldBeEmpty
from innerloop.gitops.repository.git import ProtectedBranch
from innerloop.gitops.repository.repository import NOTES
from tests.gitops.forge.kinds import KINDS
from tests.gitops.forge.server import Fault
from tests.gitops.lab import Lab, config_map, lab_at
from tests.gitops.remote import git

HEAD = "loop/stage/vote"
WEB = "stage/vote/configmap-web.yaml"


async def test_a_pull_request_has_the_rendered_files_on_the_base(lab: Lab) -> None:
    outcome = await lab.promote(config_map())
    [pull] = lab.pulls
    assert (pull.head, pull.base, pull.state) == (HEAD, "main", "open")
    assert outcome.state == "proposed" and outcome.pull is not None and outcome.pull.number == pull.number
    assert sorted(lab.remote.files(HEAD)) == [
        "README.md",
        "stage/other/configmap-web.yaml",
        "stage/vote/configmap-web.yaml",
        "stage/vote/hydrator.metadata",
    ]
    assert outcome.commit == lab.remote.tip(HEAD)


async def test_the_commit_joins_source_images_and_renderer(lab: Lab) -> None:
    await lab.promote(config_map())
    message = lab.remote.message(HEAD)
    assert message.startswith("Promote vote to stage: Change the title\n\n1 added.\n\n")
    trailers = git(lab.remote.folder, "interpret-trailers", "--parse", input=message.encode()).splitlines()
    assert trailers[:-1] == [
        "Project: vote",
        "Environment: stage",
        "Source-Repository: https://example.com/vote.git",
        f"Source-Commit: {'a' * 40}",
        f"Image: example.com/web@sha256:{'0' * 64}",
        "Rendered-By: innerloop 0.1 (helm v4.2.1)",
    ]


async def test_the_text_tells_source_images_and_the_diff(lab: Lab) -> None:
    await lab.promote(config_map())
    lab.merge()
    await lab.promote(config_map(data="2"))
    text = lab.pulls[-1].body
    assert "a" * 12 in text and "Change the title" in text and "sha256:" in text
    assert (
        "ConfigMap/web" in text
        and '-  value: "1"' in text.replace("'", '"')
        and '+  value: "2"' in text.replace("'", '"')
    )


async def test_reviewers_and_labels_are_those_of_the_project(lab: Lab) -> None:
    lab.set(reviewers=("alice",), labels=("env/stage",))
    await lab.promote(config_map())
    assert (lab.pulls[0].reviewers, lab.pulls[0].labels) == (["alice"], ["env/stage"])


async def test_the_same_again_changes_nothing(lab: Lab) -> None:
    first = await lab.promote(config_map())
    again = await lab.promote(config_map())
    assert (again.state, again.commit) == ("already proposed", first.commit)
    assert lab.remote.tip(HEAD) == first.commit and len(lab.pulls) == 1


async def test_a_newer_render_updates_the_same_pull_request(lab: Lab) -> None:
    await lab.promote(config_map())
    outcome = await lab.promote(config_map(data="2"), commit="b")
    [pull] = lab.pulls
    assert outcome.state == "proposed" and "b" * 12 in pull.body
    assert len(git(lab.remote.folder, "rev-list", f"main..{HEAD}").splitlines()) == 1


async def test_what_the_base_has_already_makes_no_pull_request(lab: Lab) -> None:
    await lab.promote(config_map())
    lab.merge()
    before = lab.remote.tip()
    outcome = await lab.promote(config_map(), commit="b")
    assert (outcome.state, outcome.pull, outcome.commit) == ("unchanged", None, before)
    assert len(lab.pulls) == 1


@pytest.mark.parametrize("style", ["squash", "merge"])
async def test_after_a_merge_the_next_change_has_a_new_pull_request(lab: Lab, style: str) -> None:
    await lab.promote(config_map())
    lab.merge(style)  # type: ignore[arg-type]  # one of the two
    await lab.promote(config_map(data="2"), commit="b")
    assert [pull.state for pull in lab.pulls] == ["merged", "open"]
    assert git(lab.remote.folder, "rev-parse", f"{HEAD}^") == lab.remote.tip()


async def test_after_a_rejection_the_same_makes_a_new_pull_request(lab: Lab) -> None:
    await lab.promote(config_map())
    lab.close()
    outcome = await lab.promote(config_map())
    assert [pull.state for pull in lab.pulls] == ["closed", "open"]
    assert outcome.state == "already proposed"


async def test_what_is_no_longer_rendered_is_removed(lab: Lab) -> None:
    await lab.promote(config_map("web"), config_map("ingress"))
    lab.merge()
    outcome = await lab.promote(config_map("web"), commit="b")
    assert counted(outcome.differences) == "1 removed"
    lab.merge()
    assert "stage/vote/configmap-ingress.yaml" not in lab.remote.files()


async def test_a_file_that_others_put_beside_stays(lab: Lab) -> None:
    await lab.promote(config_map())
    lab.merge()
    lab.remote.commit({"stage/vote/kustomization.yaml": "resources: []\n"})
    await lab.promote(config_map("other"), commit="b")
    assert lab.remote.files(HEAD)["stage/vote/kustomization.yaml"] == "resources: []"


async def test_one_file_for_all_objects_takes_the_place_of_a_file_each(lab: Lab) -> None:
    await lab.promote(config_map("web"), config_map("db"))
    lab.merge()
    lab.set(files="one")
    outcome = await lab.promote(config_map("web"), config_map("db"))
    assert outcome.differences == ()
    assert [name for name in lab.remote.files(HEAD) if name.startswith("stage/vote/")] == [
        "stage/vote/hydrator.metadata",
        "stage/vote/manifests.yaml",
    ]


async def test_a_cluster_layout_has_manifests_and_templates(lab: Lab) -> None:
    lab.set(layout="cluster", files="one")
    wanted = lab.wanted(config_map(), templates={"chart/values.yaml": b"a: 1\n"})
    await lab.propose(wanted)
    lab.merge()
    assert [name for name in lab.remote.files() if not name.startswith("stage/other")] == [
        "README.md",
        "stage/manifests/vote/vote.yaml",
        "stage/templates/vote/vote/chart/values.yaml",
        "stage/templates/vote/vote/hydrator.metadata",
    ]
    await lab.propose(lab.wanted(config_map(), templates={"chart/other.yaml": b"a: 1\n"}, commit="b"))
    assert "stage/templates/vote/vote/chart/values.yaml" not in lab.remote.files(HEAD)


# branch per environment, as GitOps Promoter has it


async def test_a_branch_per_environment_begins_from_the_main_one(lab: Lab) -> None:
    lab.set(layout="branch")
    await lab.promote(config_map())
    assert lab.remote.tip("environments/stage") == lab.remote.tip()
    assert lab.pulls[0].base == "environments/stage" and lab.pulls[0].head == "environments/stage-next/vote"
    metadata = json.loads(lab.remote.files("environments/stage-next/vote")["vote/hydrator.metadata"])
    assert metadata["drySha"] == "a" * 40


async def test_without_a_difference_the_note_moves_and_no_commit_is_made(lab: Lab) -> None:
    lab.set(layout="branch")
    await lab.promote(config_map())
    merged = lab.merge()
    head = lab.remote.tip("environments/stage-next/vote")
    await lab.promote(config_map(), commit="b")
    assert lab.remote.tip("environments/stage") == merged
    assert lab.remote.tip("environments/stage-next/vote") == head
    assert json.loads(git(lab.remote.folder, "notes", f"--ref={NOTES}", "show", head or "")) == {"drySha": "b" * 40}


# what happens meanwhile


async def test_a_base_that_moves_on_meanwhile_is_what_the_commit_stands_on(lab: Lab) -> None:
    def emit(event: Event) -> None:
        if isinstance(event, StepStarted) and not lab.notices and len(lab.events) < 3:
            lab.remote.commit({"README.md": "newer\n"})
        lab.events.append(event)

    lab.emit = emit  # type: ignore[method-assign]  # to do something while it works
    await lab.promote(config_map())
    assert lab.remote.files(HEAD)["README.md"] == "newer"
    assert any("starting over" in message for message in lab.notices)


async def test_two_promotions_at_once_make_one_pull_request(lab: Lab) -> None:
    outcomes = await asyncio.gather(*(lab.promote(config_map()) for _ in range(3)))
    assert len(lab.pulls) == 1
    assert {outcome.commit for outcome in outcomes} == {lab.remote.tip(HEAD)}


async def test_a_base_that_was_forced_elsewhere_is_followed(lab: Lab) -> None:
    await lab.promote(config_map())
    lab.remote.commit({"README.md": "another history\n"}, parents=())
    await lab.promote(config_map(data="2"), commit="b")
    assert lab.remote.files(HEAD)["README.md"] == "another history"


async def test_commits_of_others_on_the_proposed_branch_are_not_overwritten(lab: Lab) -> None:
    await lab.promote(config_map())
    theirs = lab.remote.commit({"stage/vote/configmap-web.yaml": "fixed: 1\n"}, HEAD, message="Fix the title")
    with pytest.raises(LoopError, match="commits of others") as told:
        await lab.promote(config_map(data="2"), commit="b")
    assert told.value.detail == f"{theirs[:12]} Alice <alice@example.com>: Fix the title"
    assert lab.remote.tip(HEAD) == theirs


async def test_our_commit_that_others_amended_is_not_overwritten(lab: Lab) -> None:
    await lab.promote(config_map())
    parent = lab.remote.tip()
    theirs = lab.remote.commit(
        {"stage/vote/configmap-web.yaml": "fixed: 1\n"},
        HEAD,
        message=lab.remote.message(HEAD),
        parents=(parent or "",),
    )
    with pytest.raises(LoopError, match="commits of others"):
        await lab.promote(config_map(data="2"), commit="b")
    assert lab.remote.tip(HEAD) == theirs


async def test_our_commit_that_a_forge_put_on_a_newer_base_is_ours(lab: Lab) -> None:
    await lab.promote(config_map())
    newer = lab.remote.commit({"README.md": "newer\n"})
    files = {path: text + "\n" for path, text in lab.remote.files(HEAD).items() if path.startswith("stage/vote/")}
    lab.remote.commit(files, HEAD, message=lab.remote.message(HEAD), parents=(newer,))
    outcome = await lab.promote(config_map(data="2"), commit="b")
    assert outcome.state == "proposed"


async def test_our_commit_of_another_layout_is_ours(lab: Lab) -> None:
    await lab.promote(config_map("a"), config_map("b"))
    lab.set(layout="cluster", files="one")
    outcome = await lab.promote(config_map("a"), config_map("b"))
    assert outcome.state == "proposed" and "stage/vote/configmap-a.yaml" not in lab.remote.files(HEAD)


async def test_a_base_that_was_merged_into_the_proposed_branch_is_nobodys_work(lab: Lab) -> None:
    await lab.promote(config_map())
    lab.remote.commit({"README.md": "newer\n"})
    lab.remote.merge("main", HEAD)
    await lab.promote(config_map(data="2"), commit="b")
    assert git(lab.remote.folder, "rev-parse", f"{HEAD}^") == lab.remote.tip()


async def test_commits_of_others_that_were_merged_do_not_stand_in_the_way(lab: Lab) -> None:
    await lab.promote(config_map())
    lab.remote.commit({"docs.md": "a word\n"}, HEAD, message="Say more")
    lab.merge()
    await lab.promote(config_map(data="2"), commit="b")
    assert [pull.state for pull in lab.pulls] == ["merged", "open"]


async def test_a_proposal_that_is_not_wanted_any_more_is_taken_back(lab: Lab) -> None:
    await lab.promote(config_map())
    lab.merge()
    await lab.promote(config_map(data="2"), commit="b")
    outcome = await lab.promote(config_map(), commit="c")
    assert outcome.state == "unchanged"
    assert [pull.state for pull in lab.pulls] == ["merged", "closed"]
    assert "has it already" in lab.pulls[-1].comments[0]
    assert lab.remote.tip(HEAD) is None


# whose place it is


async def test_a_folder_of_another_project_is_told(lab: Lab) -> None:
    await lab.promote(config_map())
    lab.merge()
    metadata = lab.remote.files()["stage/vote/hydrator.metadata"]
    lab.remote.commit({"stage/vote/hydrator.metadata": metadata.replace('"vote"', '"shop"')})
    with pytest.raises(LoopError) as told:
        await lab.promote(config_map(data="2"), commit="b")
    assert "belongs to shop, environment stage" in (told.value.detail or "")


async def test_files_without_provenance_are_told_with_the_way_to_take_them_over(lab: Lab) -> None:
    lab.remote.commit({"stage/vote/old.yaml": "a: 1\n"})
    with pytest.raises(LoopError, match="no promotion wrote") as told:
        await lab.promote(config_map())
    assert "--take-over" in (told.value.hint or "") and told.value.detail == "stage/vote/old.yaml"
    await lab.promote(config_map(), take_over=True)
    assert "stage/vote/old.yaml" not in lab.remote.files(HEAD)


async def test_a_folder_that_another_tool_writes_is_told(lab: Lab) -> None:
    lab.remote.commit({"stage/vote/hydrator.metadata": '{"drySha": "1"}\n'})
    with pytest.raises(LoopError, match="another tool writes"):
        await lab.promote(config_map())


async def test_what_was_edited_by_hand_is_not_overwritten_without_consent(lab: Lab) -> None:
    await lab.promote(config_map())
    lab.merge()
    lab.remote.commit({"stage/vote/configmap-web.yaml": "hot: fix\n"})
    with pytest.raises(LoopError, match="stops the promotion") as told:
        await lab.promote(config_map(data="2"), commit="b")
    assert "stage/vote/configmap-web.yaml: changed by hand" in (told.value.detail or "")
    await lab.promote(config_map(data="2"), commit="b", overwrite_edits=True)
    assert "hot" not in lab.remote.files(HEAD)["stage/vote/configmap-web.yaml"]


async def test_an_edit_that_was_taken_over_into_the_templates_is_no_edit(lab: Lab) -> None:
    await lab.promote(config_map(), config_map("other"))
    lab.merge()
    fixed = lab.wanted(config_map(data="2")).files["stage/vote/configmap-web.yaml"]
    lab.remote.commit({"stage/vote/configmap-web.yaml": fixed})
    outcome = await lab.promote(config_map(data="2"), config_map("other", data="2"), commit="b")
    assert counted(outcome.differences) == "1 changed"


async def test_an_edit_that_was_taken_over_is_known_as_rendered_from_then_on(lab: Lab) -> None:
    await lab.promote(config_map())
    lab.merge()
    lab.remote.commit({"stage/vote/configmap-web.yaml": lab.wanted(config_map(data="2")).files[WEB]})
    outcome = await lab.promote(config_map(data="2"), commit="b")
    assert (outcome.state, outcome.differences) == ("proposed", ())
    lab.merge()
    await lab.promote(config_map(data="3"), commit="c")
    assert lab.pulls[-1].state == "open"


async def test_a_file_of_others_where_one_is_to_be_written_is_told(lab: Lab) -> None:
    await lab.promote(config_map())
    lab.merge()
    lab.remote.commit({"stage/vote/configmap-db.yaml": "theirs: 1\n"})
    with pytest.raises(LoopError) as told:
        await lab.promote(config_map(), config_map("db"), commit="b")
    assert "stage/vote/configmap-db.yaml: it is there, and no promotion wrote it" in (told.value.detail or "")


async def test_a_file_that_was_broken_by_hand_can_be_overwritten(lab: Lab) -> None:
    await lab.promote(config_map())
    lab.merge()
    lab.remote.commit({"stage/vote/configmap-web.yaml": "a: [\n"})
    await lab.promote(config_map(), commit="b", overwrite_edits=True)
    assert "not compared" in lab.pulls[-1].body


# a render without objects


async def test_removing_every_object_wants_consent(lab: Lab) -> None:
    await lab.promote(config_map())
    lab.merge()
    with pytest.raises(WouldBeEmpty, match="remove all of its objects"):
        await lab.promote(commit="b")
    assert lab.remote.tip(HEAD) == lab.forge.repository.pulls[0].ended_at_head
    await lab.promote(commit="b", empty=True)
    lab.merge()
    assert [name for name in lab.remote.files() if "stage/vote" in name] == ["stage/vote/hydrator.metadata"]


async def test_a_first_promotion_without_objects_removes_nothing(lab: Lab) -> None:
    outcome = await lab.promote()
    assert outcome.state == "proposed"


# on every forge


@pytest.mark.parametrize("kind", KINDS)
async def test_on_each_forge_one_pull_request_is_updated_and_the_next_is_new(
    kind: str, tmp_path: Path, isolated: None
) -> None:
    async with lab_at(tmp_path, kind) as lab:
        await lab.promote(config_map())
        await lab.promote(config_map(data="2"), commit="b")
        assert [pull.state for pull in lab.pulls] == ["open"] and "b" * 12 in lab.pulls[0].body
        lab.merge()
        await lab.promote(config_map(data="3"), commit="c")
        again = await lab.promote(config_map(data="3"), commit="c")
        assert [pull.state for pull in lab.pulls] == ["merged", "open"]
        assert (again.state, again.commit) == ("already proposed", lab.remote.tip(HEAD))


async def test_a_long_text_keeps_within_what_the_forge_takes(tmp_path: Path, isolated: None) -> None:
    async with lab_at(tmp_path, "azure") as lab:
        await lab.promote(*(config_map(f"web{number}", data="x" * 200) for number in range(100)))
        assert len(lab.pulls[0].body) <= azure.BODY
        assert lab.pulls[0].body.rstrip().endswith(" more")


# what the server says


async def test_a_protected_proposed_branch_is_told(lab: Lab) -> None:
    lab.remote.hook("pre-receive", 'echo "remote: GH006: Protected branch update failed" >&2; exit 1')
    with pytest.raises(ProtectedBranch, match=HEAD):
        await lab.promote(config_map())
    assert lab.pulls == []


async def test_a_pull_request_that_cannot_be_made_tells_what_is_pushed(lab: Lab) -> None:
    lab.forge.lacks_scope = True
    with pytest.raises(LoopError, match=f"branch {HEAD} is pushed, but its pull request is not made") as told:
        await lab.promote(config_map())
    assert "lacks a scope that GitHub wants: repo" in str(told.value)
    lab.forge.lacks_scope = False
    outcome = await lab.promote(config_map())
    assert outcome.state == "already proposed" and len(lab.pulls) == 1


async def test_an_expired_token_is_told_with_what_is_pushed(lab: Lab) -> None:
    lab.forge.faults.append(Fault(401, '{"message": "Bad credentials"}', times=99))
    with pytest.raises(LoopError, match="is wrong, or it has expired"):
        await lab.promote(config_map())


async def test_a_repository_without_the_branch_is_told(lab: Lab) -> None:
    lab.set(branch="trunk")
    with pytest.raises(LoopError, match="has no branch trunk"):
        await lab.promote(config_map())


async def test_plain_git_has_a_branch_and_what_the_server_says(lab: Lab) -> None:
    lab.set(forge="git")
    lab.remote.hook("post-receive", 'echo "visit https://git.example.com/new"')
    outcome = await lab.promote(config_map())
    assert lab.remote.tip(HEAD) == outcome.commit
    assert outcome.pull is not None and outcome.pull.number == 0
    assert outcome.said == "visit https://git.example.com/new"
    again = await lab.promote(config_map())
    assert again.state == "already proposed"


async def test_a_base_branch_that_may_not_be_made_is_told_with_the_way(lab: Lab) -> None:
    lab.set(layout="branch")
    lab.remote.hook("pre-receive", 'echo "GH013: Repository rule violations" >&2; exit 1')
    with pytest.raises(ProtectedBranch) as told:
        await lab.promote(config_map())
    assert f"git push {lab.remote.url} main:environments/stage" in (told.value.hint or "")
