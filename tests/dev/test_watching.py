"""The watcher on real files; the tests of inotify's own ways run on Linux only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from innerloop.dev.watching import inotify
from innerloop.dev.watching.batches import Ignores, Watch
from innerloop.dev.watching.watching import nothing, watch
from innerloop.errors import LoopError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small tree, and files beside it that are nobody's business."""
    folder = tmp_path / "root"
    (folder / "sub/deep").mkdir(parents=True)
    (folder / "a.py").write_text("1")
    (folder / "sub/b.py").write_text("1")
    (tmp_path / "beside").mkdir()
    return folder


class Changes:
    """What a watch told, gathered."""

    def __init__(self, watch: Watch, base: Path) -> None:
        self.watch = watch
        self.base = base
        self.seen: set[str] = set()

    async def until(self, *paths: str) -> None:
        """Waits for paths, relative to the base; fails after a while."""
        try:
            async with asyncio.timeout(5):
                while not set(paths) <= self.seen:
                    batch = await anext(self.watch)
                    self.seen |= {os.path.relpath(path, self.base) for path in batch}
        except TimeoutError:
            raise AssertionError(f"{set(paths) - self.seen} not among {self.seen}") from None

    async def nothing_but(self, *paths: str) -> None:
        """All that was done so far, and a mark set after it, led to these only."""
        mark = self.base / "root/mark"
        mark.write_text("")
        await self.until("root/mark", *paths)
        assert self.seen - {"root/mark"} == set(paths)
        self.seen.clear()


@pytest.fixture
async def watching(root: Path) -> AsyncIterator[Callable[..., Changes]]:
    with contextlib.ExitStack() as stack:

        def start(*paths: Path, ignore: Ignores = nothing) -> Changes:
            return Changes(stack.enter_context(watch(paths or (root,), ignore)), root.parent)

        yield start


Start = Callable[..., Changes]


async def test_saves_creations_and_deletions_are_told(watching: Start, root: Path) -> None:
    changes = watching()
    (root / "a.py").write_text("2")
    (root / "sub/deep/new").write_text("1")
    (root / "sub/b.py").unlink()
    (root / "link").symlink_to("a.py")
    os.link(root / "a.py", root / "hard")
    await changes.nothing_but("root/a.py", "root/sub/deep/new", "root/sub/b.py", "root/link", "root/hard")


async def test_a_save_is_told_at_once_and_only_when_it_is_closed(watching: Start, root: Path) -> None:
    changes = watching()
    with (root / "new.py").open("w") as file:
        file.write("1")
        file.flush()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(watching().watch)
        closing = time.monotonic()
    await changes.until("root/new.py")
    assert time.monotonic() - closing < 0.05


async def test_empty_file_that_nobody_writes_is_told(watching: Start, root: Path) -> None:
    changes = watching()
    descriptor = os.open(root / "lock", os.O_CREAT | os.O_RDONLY)
    await changes.until("root/lock")
    os.close(descriptor)


async def test_changed_mode_is_told(watching: Start, root: Path) -> None:
    changes = watching()
    (root / "a.py").chmod(0o755)
    await changes.nothing_but("root/a.py")


@pytest.mark.parametrize("way", ["rename over", "delete and create", "backup and create", "truncate"])
async def test_ways_of_editors_to_save_are_told_each_time(watching: Start, root: Path, way: str) -> None:
    changes = watching(root / "a.py")
    for text in ("2", "3"):
        match way:
            case "rename over":
                (root / "a.tmp").write_text(text)
                (root / "a.tmp").rename(root / "a.py")
            case "delete and create":
                (root / "a.py").unlink()
                (root / "a.py").write_text(text)
            case "backup and create":
                (root / "a.py").rename(root / "a.py~")
                (root / "a.py").write_text(text)
            case "truncate":
                (root / "a.py").write_text(text)
        await changes.until("root/a.py")
        assert changes.seen == {"root/a.py"}
        changes.seen.clear()


async def test_files_in_new_folders_are_told_by_the_folder_or_themselves(watching: Start, root: Path) -> None:
    changes = watching()
    for number in range(20):
        (root / f"n{number}/m").mkdir(parents=True)
        (root / f"n{number}/m/file").write_text("1")
    await changes.until(*(f"root/n{number}" for number in range(20)))
    changes.seen.clear()
    (root / "n7/m/file").write_text("2")
    await changes.nothing_but("root/n7/m/file")


async def test_renamed_folder_is_told_and_watched_under_its_new_name(watching: Start, root: Path) -> None:
    changes = watching()
    (root / "sub").rename(root / "other")
    await changes.nothing_but("root/sub", "root/other")
    (root / "other/deep/x").write_text("1")
    await changes.nothing_but("root/other/deep/x")


async def test_folder_moved_away_is_no_longer_watched(watching: Start, root: Path) -> None:
    changes = watching()
    (root / "sub").rename(root.parent / "beside/sub")
    await changes.nothing_but("root/sub")
    (root.parent / "beside/sub/b.py").write_text("2")
    await changes.nothing_but()


async def test_folder_removed_and_made_again_at_once_is_watched(watching: Start, root: Path) -> None:
    changes = watching()
    for _ in range(5):
        shutil.rmtree(root / "sub")
        (root / "sub").mkdir()
    await changes.until("root/sub")
    (root / "sub/new").write_text("1")
    changes.seen.clear()
    await changes.nothing_but("root/sub/new")


async def test_root_removed_and_made_again_is_watched(watching: Start, root: Path) -> None:
    changes = watching()
    shutil.rmtree(root)
    await changes.until("root")
    root.mkdir()
    changes.seen.clear()
    await changes.until("root")
    changes.seen.clear()
    (root / "a.py").write_text("2")
    await changes.nothing_but("root/a.py")


async def test_path_that_does_not_exist_yet_is_told_when_it_does(watching: Start, root: Path) -> None:
    changes = watching(root / "later/on/file.yaml")
    (root / "later").mkdir()
    (root / "later/else").write_text("")
    (root / "later/on").mkdir()
    (root / "later/on/file.yaml").write_text("1")
    await changes.until("root/later/on/file.yaml")
    changes.seen.clear()
    await asyncio.sleep(0)
    (root / "later/on/file.yaml").write_text("2")
    await changes.until("root/later/on/file.yaml")
    assert changes.seen == {"root/later/on/file.yaml"}


async def test_path_below_folders_that_are_renamed_is_followed(watching: Start, root: Path) -> None:
    changes = watching(root / "sub/deep/file")
    (root / "sub").rename(root / "gone")
    await changes.until("root/sub/deep/file")
    (root / "sub/deep").mkdir(parents=True)
    changes.seen.clear()
    (root / "sub/deep/file").write_text("1")
    await changes.until("root/sub/deep/file")


async def test_single_file_is_told_without_its_neighbours(watching: Start, root: Path) -> None:
    changes = watching(root / "a.py", root / "mark")
    (root / "b.py").write_text("")
    (root / "a.py").write_text("2")
    await changes.nothing_but("root/a.py")


async def test_ignored_paths_are_neither_told_nor_watched(watching: Start, root: Path) -> None:
    asked = []

    def ignore(path: str, folder: bool) -> bool:
        name = os.path.basename(path)
        asked.append((name, folder))
        return name in ("sub", "b.log")

    changes = watching(ignore=ignore)
    (root / "sub/b.py").write_text("2")
    (root / "b.log").write_text("2")
    await changes.nothing_but()
    assert ("sub", True) in asked
    assert ("b.log", False) in asked


async def test_overflow_tells_to_look_at_everything_and_nothing_is_unwatched(watching: Start, root: Path) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    changes = watching()
    for number in range(limit + 100):
        # equal events in a row would be one
        os.utime(root / ("a.py" if number % 2 else "sub/b.py"))
    (root / "new").mkdir()
    await changes.until("root")
    changes.seen.clear()
    (root / "new/file").write_text("1")
    await changes.until("root/new/file")


async def test_burst_is_told_in_few_batches(watching: Start, root: Path) -> None:
    changes = watching()
    for number in range(500):
        (root / f"file{number}").write_text("1")
    batches = 0
    seen: set[str] = set()
    async with asyncio.timeout(5):
        while len(seen) < 500:
            seen |= await anext(changes.watch)
            batches += 1
    assert batches < 10


async def test_names_are_bytes(watching: Start, root: Path) -> None:
    changes = watching()
    name = os.fsdecode(b"\xff\n.py")
    (root / name).write_text("1")
    await changes.nothing_but(f"root/{name}")


async def test_two_watches_share_one_instance_and_both_are_told(watching: Start, root: Path) -> None:
    first, second = watching(), watching(root / "sub")
    assert len(instances()) == 1
    (root / "sub/b.py").write_text("2")
    await first.until("root/sub/b.py")
    await second.until("root/sub/b.py")
    first.watch.close()
    (root / "sub/b.py").write_text("3")
    second.seen.clear()
    await second.until("root/sub/b.py")


async def test_closed_and_cancelled_watches_leave_nothing(root: Path) -> None:
    with watch([root]) as changes:
        waiting = asyncio.timeout(0.01)
        with pytest.raises(TimeoutError):
            async with waiting:
                await anext(changes)
        assert [batch async for batch in changes] == []
    assert instances() == []


def instances() -> list[str]:
    """The inotify instances of this process."""

    def links() -> Iterator[str]:
        for descriptor in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                yield os.readlink(descriptor)

    return [link for link in links() if link == "anon_inode:inotify"]


@pytest.mark.parametrize(("limit", "named"), [("watches", "max_user_watches"), ("instances", "max_user_instances")])
def test_limit_of_the_system_is_told_with_the_command_that_raises_it(root: Path, limit: str, named: str) -> None:
    # user.max_inotify_* holds for one user namespace, fs.inotify.* would hold for the whole machine
    code = f"""
import asyncio, pathlib
from innerloop.dev.watching.watching import watch
from innerloop.errors import LoopError
async def main():
    pathlib.Path("/proc/sys/user/max_inotify_{limit}").write_text("{int(limit == "watches")}")
    try:
        watch([pathlib.Path({str(root)!r})])
    except LoopError as error:
        print(error.message, "|", error.hint)
asyncio.run(main())
"""
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", code]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert f"fs.inotify.{named} is" in told
    assert f"sudo sysctl fs.inotify.{named}=" in told


async def test_limit_reached_later_is_told_to_who_waits(
    watching: Start, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = watching()

    def refuse(*_: object, **__: object) -> None:
        raise LoopError("the limit is reached")

    monkeypatch.setattr(inotify.Inotify, "add", refuse)
    (root / "new").mkdir()
    with pytest.raises(LoopError, match="the limit is reached"):
        await changes.until("root/new")
