"""Watching as it is done off Linux; watchfiles works on Linux as well."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from innerloop.dev.watching.batches import Ignores
from innerloop.dev.watching.elsewhere import WatchfilesWatch
from innerloop.dev.watching.watching import nothing

Start = Callable[..., Awaitable["Changes"]]


class Changes:
    """What a watch told, gathered."""

    def __init__(self, watch: WatchfilesWatch, base: Path) -> None:
        self.watch = watch
        self.base = base
        self.seen: set[str] = set()

    async def until(self, *paths: str) -> None:
        """Waits for paths, relative to the base; fails after a while."""
        try:
            async with asyncio.timeout(10):
                while not set(paths) <= self.seen:
                    batch = await anext(self.watch)
                    self.seen |= {os.path.relpath(path, self.base) for path in batch}
        except TimeoutError:
            raise AssertionError(f"{set(paths) - self.seen} not among {self.seen}") from None


@pytest.fixture
async def watching(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a watch, and takes its first batch."""
    (tmp_path / "root/sub").mkdir(parents=True)
    with contextlib.ExitStack() as stack:

        async def start(*paths: Path, ignore: Ignores = nothing) -> Changes:
            watch = stack.enter_context(WatchfilesWatch(paths or (tmp_path / "root",), ignore))
            changes = Changes(watch, tmp_path)
            assert await anext(watch) == frozenset(map(str, paths or (tmp_path / "root",)))
            return changes

        yield start


async def test_saves_creations_and_deletions_are_told(watching: Start, tmp_path: Path) -> None:
    changes = await watching()
    (tmp_path / "root/sub/a.py").write_text("1")
    await changes.until("root/sub/a.py")
    changes.seen.clear()
    (tmp_path / "root/sub/a.py").unlink()
    (tmp_path / "root/new/deep").mkdir(parents=True)
    await changes.until("root/sub/a.py", "root/new")
    changes.seen.clear()
    shutil.rmtree(tmp_path / "root/sub")
    await changes.until("root/sub")


async def test_what_is_ignored_is_not_told(watching: Start, tmp_path: Path) -> None:
    changes = await watching(ignore=lambda path, folder: path.endswith("/sub"))
    (tmp_path / "root/sub/a.py").write_text("1")
    (tmp_path / "root/mark").write_text("1")
    await changes.until("root/mark")
    assert changes.seen == {"root/mark"}


async def test_path_that_does_not_exist_yet_is_told_when_it_does(watching: Start, tmp_path: Path) -> None:
    changes = await watching(tmp_path / "root/later/file.yaml")
    (tmp_path / "root/later").mkdir()
    (tmp_path / "root/later/file.yaml").write_text("1")
    await changes.until("root/later/file.yaml")


async def test_who_catches_up_has_everything_looked_at(watching: Start, tmp_path: Path) -> None:
    changes = await watching()

    async def follow() -> None:
        async for batch in changes.watch:
            changes.seen |= {os.path.relpath(path, changes.base) for path in batch}

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(follow(), name="follow")
        assert await changes.watch.caught_up()
        assert changes.seen == {"root"}
        task.cancel()
    assert not await changes.watch.caught_up()
