"""Going back by a pull request, and what the promotions after it say."""

from __future__ import annotations

import pytest

from innerloop.errors import LoopError
from tests.gitops.lab import Lab, config_map

HEAD = "loop/stage/vote"


async def released(lab: Lab, *commits: str) -> list[str]:
    """A merged promotion each, with a value that tells which; the commits on the base."""
    found = []
    for commit in commits:
        await lab.promote(config_map(data=commit), commit=commit)
        found.append(lab.merge())
    return found


def value(lab: Lab, branch: str = "main") -> str:
    return lab.remote.files(branch)["stage/vote/configmap-web.yaml"].split("value:")[1].strip().strip("'\"")


async def test_a_rollback_proposes_what_was_before_the_last_change(lab: Lab) -> None:
    await released(lab, "a", "b")
    outcome = await lab.roll_back()
    assert outcome.state == "proposed" and value(lab, HEAD) == "a"
    assert lab.pulls[-1].title == "Roll back vote in stage to: Change the title"
    assert "a" * 12 in lab.pulls[-1].body and "b" * 12 in lab.pulls[-1].body


async def test_a_rollback_is_marked_with_what_was_gone_back_from(lab: Lab) -> None:
    await released(lab, "a", "b")
    await lab.roll_back()
    lab.merge()
    found = lab.provenance()
    assert (found.source.commit, found.rolled_back) == ("a" * 40, "b" * 40)


async def test_a_rollback_by_a_merge_commit_is_one_as_well(lab: Lab) -> None:
    await lab.promote(config_map(data="a"), commit="a")
    lab.merge("merge")
    await lab.promote(config_map(data="b"), commit="b")
    lab.merge("merge")
    await lab.roll_back()
    assert value(lab, HEAD) == "a"


async def test_changes_of_others_in_between_do_not_count(lab: Lab) -> None:
    await released(lab, "a", "b")
    for number in range(60):
        lab.remote.commit({"README.md": f"{number}\n"})
    await lab.roll_back()
    assert value(lab, HEAD) == "a"
    assert lab.remote.files(HEAD)["README.md"] == "59"


async def test_objects_that_came_with_the_change_go_with_it(lab: Lab) -> None:
    await released(lab, "a")
    await lab.promote(config_map(data="a"), config_map("new"), commit="b")
    lab.merge()
    await lab.roll_back()
    assert "stage/vote/configmap-new.yaml" not in lab.remote.files(HEAD)


async def test_a_second_rollback_goes_further_back(lab: Lab) -> None:
    await released(lab, "a", "b", "c")
    await lab.roll_back()
    lab.merge()
    await lab.roll_back()
    assert value(lab, HEAD) == "a"


async def test_a_rollback_to_a_commit_of_the_repository(lab: Lab) -> None:
    [first, *_] = await released(lab, "a", "b", "c")
    await lab.roll_back(first[:10])
    assert value(lab, HEAD) == "a"


async def test_a_rollback_to_a_commit_of_the_source(lab: Lab) -> None:
    await released(lab, "a", "b", "c")
    await lab.roll_back("aaaaaaa")
    assert value(lab, HEAD) == "a"


async def test_a_rollback_to_a_commit_that_is_not_there_is_told(lab: Lab) -> None:
    await released(lab, "a", "b")
    with pytest.raises(LoopError, match="no change of stage/vote is fffffff"):
        await lab.roll_back("fffffff")


async def test_a_rollback_without_a_state_before_is_told(lab: Lab) -> None:
    await released(lab, "a")
    with pytest.raises(LoopError, match="no state before"):
        await lab.roll_back()


async def test_a_rollback_of_what_was_never_promoted_is_told(lab: Lab) -> None:
    with pytest.raises(LoopError, match="nothing of ours in stage/vote"):
        await lab.roll_back()


async def test_what_was_rolled_back_does_not_come_again_without_consent(lab: Lab) -> None:
    await released(lab, "a", "b")
    await lab.roll_back()
    lab.merge()
    with pytest.raises(LoopError, match=f"{'b' * 12} was rolled back in stage"):
        await lab.promote(config_map(data="b"), commit="b")
    await lab.promote(config_map(data="b"), commit="b", over_rollback=True)
    assert value(lab, HEAD) == "b"


async def test_a_newer_promotion_over_a_rollback_says_so(lab: Lab) -> None:
    await released(lab, "a", "b")
    await lab.roll_back()
    lab.merge()
    await lab.promote(config_map(data="c"), commit="c")
    assert "goes over a rollback" in lab.pulls[-1].body and "b" * 12 in lab.pulls[-1].body
    assert any("goes over a rollback of stage" in message for message in lab.notices)


async def test_after_a_newer_promotion_the_rollback_is_history(lab: Lab) -> None:
    await released(lab, "a", "b")
    await lab.roll_back()
    lab.merge()
    await released(lab, "c")
    await lab.promote(config_map(data="d"), commit="d")
    assert "rollback" not in lab.pulls[-1].body


async def test_a_rollback_that_waits_for_review_is_not_replaced_by_what_it_takes_back(lab: Lab) -> None:
    await released(lab, "a", "b")
    await lab.roll_back()
    with pytest.raises(LoopError, match="was rolled back in stage"):
        await lab.promote(config_map(data="b"), commit="b")
    assert value(lab, HEAD) == "a" and lab.pulls[-1].state == "open"


async def test_a_rollback_that_was_rejected_stands_in_nobodys_way(lab: Lab) -> None:
    await released(lab, "a", "b")
    await lab.roll_back()
    lab.close()
    outcome = await lab.promote(config_map(data="b"), commit="b")
    assert outcome.state == "unchanged"


async def test_a_rollback_takes_the_place_of_a_promotion_that_waits(lab: Lab) -> None:
    await released(lab, "a", "b")
    await lab.promote(config_map(data="c"), commit="c")
    await lab.roll_back()
    assert [pull.state for pull in lab.pulls] == ["merged", "merged", "open"]
    assert lab.pulls[-1].title.startswith("Roll back") and value(lab, HEAD) == "a"


async def test_the_same_rollback_again_changes_nothing(lab: Lab) -> None:
    await released(lab, "a", "b")
    first = await lab.roll_back()
    again = await lab.roll_back()
    assert (again.state, again.commit) == ("already proposed", first.commit)


async def test_a_rollback_to_what_is_proposed_already_is_marked_as_one(lab: Lab) -> None:
    await released(lab, "a", "b")
    await lab.promote(config_map(data="a"), commit="a")
    await lab.roll_back()
    lab.merge()
    assert lab.provenance().rolled_back == "b" * 40


async def test_a_rollback_does_not_drop_edits_by_hand_without_consent(lab: Lab) -> None:
    await released(lab, "a", "b")
    lab.remote.commit({"stage/vote/configmap-web.yaml": "hot: fix\n"})
    with pytest.raises(LoopError, match="stops the promotion"):
        await lab.roll_back("aaaaaaa")
