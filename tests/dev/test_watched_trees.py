"""Whatever happens in a watched tree, what is known of it ends up as it is. (On Linux: by inotify.)"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dev.followed import digest, followed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify")

Step = Callable[[Path], None]
names = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map("/".join)
texts = st.sampled_from(["", "x", "y", "longer"])
targets = st.sampled_from([".", "..", "../..", "a", "c"])
"""Of links: also loops, and ways out of the tree."""


def step(action: Callable[..., object], *arguments: object) -> Step:
    """Something done in a folder; what is not possible there does nothing."""

    def apply(folder: Path) -> None:
        try:
            action(*(folder / one if isinstance(one, str) else one for one in arguments))
        except (OSError, shutil.Error):
            pass

    return apply


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def put_over(path: Path, content: bytes) -> None:
    put(path.with_name("c"), content)
    path.with_name("c").rename(path)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def make_anew(path: Path, content: bytes) -> None:
    """A folder is removed and comes back at once."""
    shutil.rmtree(path)
    put(path / "a/b", content)


def turn_into_file(path: Path, content: bytes) -> None:
    remove(path)
    path.write_bytes(content)


def turn_into_link(target: str, path: Path) -> None:
    remove(path)
    path.symlink_to(target)


def rename_by_link(old: Path, new: Path) -> None:
    # of a file that keeps two names, the system tells only the one by which it is written
    os.link(old, new)
    old.unlink()


steps = st.one_of(
    st.builds(lambda name, text: step(put, name, text.encode()), names, texts),
    st.builds(lambda name, text: step(put_over, name, text.encode()), names, texts),
    st.builds(lambda name: step(remove, name), names),
    st.builds(lambda old, new: step(Path.rename, old, new), names, names),
    st.builds(lambda name: step(Path.mkdir, name), names),
    st.builds(lambda name, text: step(make_anew, name, text.encode()), names, texts),
    st.builds(lambda name, text: step(turn_into_file, name, text.encode()), names, texts),
    st.builds(lambda name, target: step(partial(turn_into_link, target), name), names, targets),
    st.builds(lambda old, new: step(rename_by_link, old, new), names, names),
    st.builds(lambda name, mode: step(Path.chmod, name, mode), names, st.sampled_from([0o644, 0o755, 0o700])),
    # the clock jumps: nothing may depend on the time of a file
    st.builds(lambda name, time: step(os.utime, name, (time, time)), names, st.sampled_from([0, 2**32])),
)


def do(steps: list[Step], folder: Path) -> None:
    for one in steps:
        one(folder)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(steps, min_size=1, max_size=12), min_size=1, max_size=4))
async def test_what_is_known_is_what_is_there(rounds: list[list[Step]]) -> None:
    with tempfile.TemporaryDirectory() as base:
        # as deep as links can lead out of it
        folder = Path(base, "1/2/3/4/5/6/7/8/root")
        folder.mkdir(parents=True)
        async with followed(folder) as tree:
            for together in rounds:
                # while they are told of: what is looked at changes meanwhile
                await asyncio.to_thread(do, together, folder)
                assert await tree.known() == tree.real()


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def over(path: Path, text: str, temporary: str = "{name}.tmp.123") -> None:
    """VS Code's files.atomic, sed -i, IntelliJ's safe write, GNOME and most formatters."""
    beside = path.parent / temporary.format(name=path.name)
    beside.write_text(text)
    beside.rename(path)


def jetbrains(path: Path, text: str) -> None:
    """Safe write: the old one goes aside before the new one comes."""
    new, old = path.with_name(f"{path.name}___jb_tmp___"), path.with_name(f"{path.name}___jb_old___")
    new.write_text(text)
    path.rename(old)
    new.rename(path)
    old.unlink()


def vim_renames(path: Path, text: str, kept: str = "") -> None:
    """Vim with backupcopy=no; ``kept``: with patchmode, the first version stays."""
    probe = path.with_name("4913")
    probe.touch()
    probe.chmod(0o644)
    probe.unlink()
    backup = path.with_name(f"{path.name}~")
    path.rename(backup)
    path.write_text(text)
    path.chmod(0o644)
    original = path.with_name(path.name + kept)
    if kept and not original.exists():
        backup.rename(original)
    else:
        backup.unlink()


def vim_copies(path: Path, text: str) -> None:
    """Vim with backupcopy=yes: the file is written in place, beside a copy."""
    backup = path.with_name(f"{path.name}~")
    shutil.copy2(path, backup)
    with path.open("r+") as file:
        file.truncate()
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    backup.unlink()


def emacs(path: Path, text: str) -> None:
    """A lock that is a dangling link, a backup by renaming, an autosave file."""
    lock, autosave = path.with_name(f".#{path.name}"), path.with_name(f"#{path.name}#")
    lock.symlink_to("ann@laptop.4711:1795602204")
    autosave.write_text(text)
    backup = path.with_name(f"{path.name}~")
    if not backup.exists():
        path.rename(backup)
    path.write_text(text)
    autosave.unlink()
    lock.unlink()


def remove_and_create(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def link_over(path: Path, text: str) -> None:
    """A new name for another file, as ostree, ccache and pnpm do."""
    stored = path.parent.parent / f"store-{text}"
    stored.write_text(text)
    path.unlink()
    os.link(stored, path)


def two_writers(path: Path, text: str) -> None:
    with path.open("w") as first, path.open("a") as second:
        first.write(text[:3])
        first.flush()
        second.write(text[3:])


SAVES: dict[str, Callable[[Path, str], None]] = {
    "in place": in_place,
    "rename over": over,
    "rename over from a hidden file": lambda path, text: over(path, text, ".{name}.swp-like"),
    "rename over from outside": lambda path, text: over(path, text, "../beside"),
    "remove and create": remove_and_create,
    "jetbrains safe write": jetbrains,
    "vim backupcopy=no": vim_renames,
    "vim backupcopy=no patchmode=.orig": lambda path, text: vim_renames(path, text, ".orig"),
    "vim backupcopy=yes": vim_copies,
    "emacs": emacs,
    "hard link": link_over,
    "two writers": two_writers,
}


@pytest.mark.parametrize("way", SAVES)
async def test_every_way_to_save_arrives_though_size_and_time_stay(tmp_path: Path, way: str) -> None:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "a.py").write_text("text 0")
    before = (folder / "a.py").stat()
    async with followed(folder) as tree:
        for number in range(1, 6):
            SAVES[way](folder / "a.py", f"text {number}")
            os.utime(folder / "a.py", ns=(before.st_atime_ns, before.st_mtime_ns))
            assert await tree.content("a.py") == digest(f"text {number}")
        left = {b"", b"a.py"} | ({b"a.py.orig"} if "patchmode" in way else set())
        assert set(await tree.known()) == left


async def test_files_that_are_checked_out_arrive(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        name = ("-c", "user.name=ann", "-c", "user.email=ann@example.com")
        subprocess.run(["git", "-C", tmp_path, *name, *arguments], check=True, capture_output=True)

    git("init", "-b", "main")
    for number in range(100):
        put(tmp_path / f"f{number % 10}/{number}.py", b"main")
    git("add", ".")
    git("commit", "-m", "main")
    git("checkout", "-b", "other")
    shutil.rmtree(tmp_path / "f1")
    for number in range(0, 100, 3):
        put(tmp_path / f"f{number % 10}/{number}.py", b"edit")
        put(tmp_path / f"new{number % 10}/{number}.py", b"edit")
    put(tmp_path / "f2_file", b"x")
    (tmp_path / "f3").rename(tmp_path / "renamed")
    git("add", ".")
    git("commit", "-m", "other")
    async with followed(tmp_path) as tree:
        for branch in ("main", "other", "main"):
            await asyncio.to_thread(git, "checkout", branch)
            assert await tree.known() == tree.real()


async def test_a_folder_that_becomes_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (tmp_path / "root").mkdir()
    async with followed(tmp_path / "root") as tree:
        (tmp_path / "root/a").mkdir()
        (tmp_path / "root/a").rmdir()
        (tmp_path / "root/a").symlink_to(outside)
        await tree.known()
        tree.batches.clear()
        (outside / "deep/file").write_text("1")
        (outside / "file").write_text("1")
        await tree.known()
    assert [batch for batch in tree.batches if batch] == []


async def test_a_root_that_is_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real/sub").mkdir(parents=True)
    (tmp_path / "root").symlink_to("real")
    async with followed(tmp_path / "root") as tree:
        (tmp_path / "real/sub/a.py").write_text("1")
        assert await tree.content("sub/a.py") == digest("1")


async def test_loops_of_links_end(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/up").symlink_to("../..")
    (tmp_path / "self").symlink_to("self")
    async with followed(tmp_path) as tree:
        (tmp_path / "a/b/new").mkdir()
        (tmp_path / "a/b/new/up").symlink_to("../../../a")
        assert await tree.known() == tree.real()


async def test_a_storm_of_events_loses_nothing(tmp_path: Path) -> None:
    for number in range(50):
        put(tmp_path / f"d{number % 5}/{number}", b"0")
    async with followed(tmp_path) as tree:

        def storm() -> None:
            for number in range(100_000):
                os.utime(tmp_path / f"d{number % 5}/{number % 50}")
            for number in range(50):
                put(tmp_path / f"d{number % 5}/{number}", b"last")
            put(tmp_path / "new/deep/file", b"last")

        thread = threading.Thread(target=storm)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert await tree.known() == tree.real()
        (tmp_path / "new/deep/file").write_text("after")
        assert await tree.content("new/deep/file") == digest("after")


async def test_files_that_are_created_and_not_closed_yet_are_caught_up_with(tmp_path: Path) -> None:
    async with followed(tmp_path) as tree:
        with (tmp_path / "a.py").open("w") as file:
            file.write("1")
            file.flush()
            assert await tree.content("a.py") == digest("1")


async def test_who_catches_up_with_a_closed_watch_is_told(tmp_path: Path) -> None:
    async with followed(tmp_path) as tree:
        pass
    assert not await tree.changes.caught_up()


async def test_who_waits_is_told_when_the_watch_is_closed_meanwhile(tmp_path: Path) -> None:
    async with followed(tmp_path) as tree, asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(tree.changes.caught_up(), name="catch up")
        await asyncio.sleep(0)
        tree.changes.close()
    assert waiting.result() is False
