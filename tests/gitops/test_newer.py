"""Promoting a commit where a newer one is there already: a pipeline that was run again, or that took longer."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from innerloop.gitops.progress.source_history import History
from tests.gitops.lab import Lab, config_map
from tests.gitops.remote import Remote

HEAD = "loop/stage/vote"


class Commits(NamedTuple):
    """Of the source, each with the former in it."""

    first: str
    second: str


@pytest.fixture
def commits(lab: Lab, tmp_path: Path) -> Commits:
    source = Remote(tmp_path / "source.git")
    lab.history = History(source.folder)
    return Commits(source.commit({"a": "1"}), source.commit({"a": "2"}))


async def test_an_older_commit_than_the_environments_says_that_it_goes_back(lab: Lab, commits: Commits) -> None:
    await lab.promote(config_map(data="2"), commit=commits.second)
    lab.merge()
    await lab.promote(config_map(data="1"), commit=commits.first)
    words = f"main has {commits.second[:12]}, which is newer than {commits.first[:12]}"
    assert f"**This goes back**: {words}." in lab.pulls[-1].body
    assert f"this goes back: {words}" in lab.notices


async def test_an_older_commit_than_the_proposed_one_says_that_it_goes_back(lab: Lab, commits: Commits) -> None:
    await lab.promote(config_map(data="2"), commit=commits.second)
    await lab.promote(config_map(data="1"), commit=commits.first)
    assert f"this goes back: pull request 1 proposes {commits.second[:12]}" in "\n".join(lab.notices)


async def test_to_promote_again_what_is_there_leaves_the_newer_one_that_is_proposed(lab: Lab, commits: Commits) -> None:
    await lab.promote(config_map(data="1"), commit=commits.first)
    lab.merge()
    await lab.promote(config_map(data="2"), commit=commits.second)
    proposed = lab.remote.tip(HEAD)
    outcome = await lab.promote(config_map(data="1"), commit=commits.first)
    assert outcome.state == "unchanged"
    assert (lab.pulls[-1].state, lab.remote.tip(HEAD)) == ("open", proposed)
    assert f"pull request 2 proposes {commits.second[:12]}" in lab.notices[-1]


async def test_a_newer_one_that_was_rejected_is_not_gone_back_from(lab: Lab, commits: Commits) -> None:
    await lab.promote(config_map(data="2"), commit=commits.second)
    lab.close()
    await lab.promote(config_map(data="1"), commit=commits.first)
    assert not any("goes back" in message for message in lab.notices)


async def test_a_newer_commit_goes_on_without_a_word(lab: Lab, commits: Commits) -> None:
    await lab.promote(config_map(data="1"), commit=commits.first)
    await lab.promote(config_map(data="2"), commit=commits.second)
    assert "goes back" not in lab.pulls[-1].body


async def test_a_rollback_is_meant(lab: Lab, commits: Commits) -> None:
    for data, commit in zip("12", commits, strict=True):
        await lab.promote(config_map(data=data), commit=commit)
        lab.merge()
    await lab.roll_back()
    assert not any("this goes back" in message for message in lab.notices)
