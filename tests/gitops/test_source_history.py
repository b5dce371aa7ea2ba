"""Which commit comes before which, in real clones."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from innerloop.errors import LoopError
from innerloop.gitops.progress.source_history import History


def git(folder: Path, *arguments: str) -> str:
    settings = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *settings, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path, message: str) -> str:
    git(folder, "commit", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    return tmp_path


async def test_a_commit_stands_before_those_that_have_it(clone: Path) -> None:
    first, second = commit(clone, "1"), commit(clone, "2")
    history = History(clone)
    assert await history.relation(first, second) == "before"
    assert await history.relation(second, first) == "after"
    assert await history.relation(first, first) == "same"


async def test_commits_of_two_branches_are_apart(clone: Path) -> None:
    commit(clone, "1")
    git(clone, "switch", "-q", "-c", "other")
    theirs = commit(clone, "theirs")
    git(clone, "switch", "-q", "main")
    assert await History(clone).relation(commit(clone, "ours"), theirs) == "apart"


async def test_a_commit_that_is_not_here_is_unknown_until_it_was_fetched(clone: Path, tmp_path: Path) -> None:
    first = commit(clone, "1")
    git(clone, "clone", "-q", ".", "copy")
    history = History(clone / "copy")
    second = commit(clone, "2")
    assert await history.relation(first, second) == "unknown"
    git(clone / "copy", "fetch", "-q")
    assert await history.relation(first, second) == "before"


async def test_a_shallow_clone_does_not_take_missing_history_for_another_one(clone: Path) -> None:
    first = commit(clone, "1")
    commit(clone, "2")
    git(clone, "clone", "-q", "--depth=1", clone.as_uri(), "copy")
    git(clone / "copy", "fetch", "-q", "--depth=1", "origin", first)
    last = git(clone, "rev-parse", "HEAD")
    assert await History(clone / "copy").relation(first, last) == "unknown"


async def test_a_commit_may_be_named_in_any_way(clone: Path) -> None:
    first = commit(clone, "1")
    commit(clone, "2")
    git(clone, "tag", "-a", "v1", first, "-m", "one")
    history = History(clone)
    assert {await history.resolve(name) for name in ("v1", "HEAD~1", first[:8])} == {first}


@pytest.mark.parametrize("name", ["nothing", "--all", "HEAD:file", ""])
async def test_what_is_no_commit_is_told(clone: Path, name: str) -> None:
    commit(clone, "1")
    with pytest.raises(LoopError, match="has no commit"):
        await History(clone).resolve(name)


async def test_a_folder_without_a_repository_is_told(tmp_path: Path) -> None:
    with pytest.raises(LoopError, match="in no git repository"):
        await History(tmp_path).resolve("HEAD")
