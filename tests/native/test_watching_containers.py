"""Folders that the helper watches, as a real process."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from innerloop.dev.sync import protocol
from innerloop.dev.sync.connection import connected
from innerloop.dev.sync.protocol import Change, Changed, Head, Listing, Reason
from tests.dev.sync_containers import Pipes
from tests.native.connecting import Helper, entries, helper_on
from tests.native.receiver import Receiver, file
from tests.waiting import until

as_root = pytest.mark.skipif(os.getuid() != 0, reason="namespaces need root")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
async def watching(helper: Path, root: Path) -> AsyncIterator[Helper]:
    async with helper_on(helper, [root]) as started:
        yield started


def name(folder: bytes, entry: bytes, root: int = 0) -> Changed:
    return Changed(root, Change.NAME, folder, entry)


def gone(folder: bytes) -> Changed:
    return Changed(0, Change.GONE, folder, b"")


async def told_until_end(watching: Helper, root: Path) -> list[Changed]:
    """What was told of all that happened in the watched root so far."""
    (root / "end").mkdir()
    await watching.until_told(b"", b"end")
    told = watching.changes.copy()
    watching.changes.clear()
    (root / "end").rmdir()
    await watching.until_told(b"", b"end")
    watching.changes.clear()
    assert told[-1] == name(b"", b"end")
    return told[:-1]


async def test_new_file_is_told_when_its_writer_closes_it(watching: Helper, root: Path) -> None:
    await watching.watch(b"")
    with (root / "a.txt").open("wb", buffering=0) as opened:
        opened.write(b"half")
        (root / "a.txt").chmod(0o600)
        assert await told_until_end(watching, root) == []
        opened.write(b"whole")
    assert await told_until_end(watching, root) == [name(b"", b"a.txt")]


async def test_new_file_that_nobody_closes_is_told_all_the_same(watching: Helper, root: Path) -> None:
    await watching.watch(b"")
    with (root / "log").open("wb"):
        await watching.until_told(b"", b"log")
        watching.changes.clear()
    assert await told_until_end(watching, root) == [name(b"", b"log")]


async def test_more_new_files_than_are_waited_for_are_told_at_once(watching: Helper, root: Path) -> None:
    await watching.watch(b"")
    files = [(root / f"{number}").open("wb") for number in range(100)]
    told = await told_until_end(watching, root)
    for opened in files:
        opened.close()
    closed = await told_until_end(watching, root)
    assert {changed.name for changed in closed} == {b"%d" % number for number in range(100)}
    assert told
    assert len(told) < 100


async def test_file_written_in_place_is_told_when_it_is_closed(watching: Helper, root: Path) -> None:
    (root / "a.txt").write_bytes(b"old")
    await watching.watch(b"")
    with (root / "a.txt").open("r+b", buffering=0) as opened:
        opened.write(b"new")
        assert await told_until_end(watching, root) == []
    assert await told_until_end(watching, root) == [name(b"", b"a.txt")]


async def test_file_that_replaces_another_is_told(watching: Helper, root: Path) -> None:
    (root / "a.txt").write_bytes(b"old")
    await watching.watch(b"")
    (root / "a.txt~").write_bytes(b"new")
    (root / "a.txt~").rename(root / "a.txt")
    told = await told_until_end(watching, root)
    assert told[-1] == name(b"", b"a.txt")
    assert set(told) == {name(b"", b"a.txt"), name(b"", b"a.txt~")}


async def test_change_of_mode_is_told(watching: Helper, root: Path) -> None:
    (root / "a.txt").touch()
    (root / "folder").mkdir()
    await watching.watch(b"", b"folder")
    (root / "a.txt").chmod(0o755)
    (root / "folder").chmod(0o700)
    assert await told_until_end(watching, root) == [name(b"", b"a.txt"), name(b"", b"folder")]


async def test_what_is_never_opened_is_told_when_it_is_made(watching: Helper, root: Path) -> None:
    (root / "file").touch()
    await watching.watch(b"")
    (root / "symbolic").symlink_to("file")
    os.link(root / "file", root / "hard")
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()
    told = await told_until_end(watching, root)
    assert told == [name(b"", made) for made in (b"symbolic", b"hard", b"pipe", b"folder")]


async def test_removed_and_renamed_names_are_told(watching: Helper, root: Path) -> None:
    for made in ("a", "b", "c"):
        (root / made).touch()
    await watching.watch(b"")
    (root / "a").unlink()
    (root / "b").rename(root / "b2")
    (root / "c").rename(root.parent / "elsewhere")
    assert await told_until_end(watching, root) == [name(b"", entry) for entry in (b"a", b"b", b"b2", b"c")]


async def test_file_read_or_written_without_a_change_is_not_told(watching: Helper, root: Path) -> None:
    (root / "a.txt").write_bytes(b"content")
    await watching.watch(b"")
    (root / "a.txt").read_bytes()
    list(root.iterdir())
    assert await told_until_end(watching, root) == []


async def test_names_are_bytes(watching: Helper, root: Path) -> None:
    names = [b"new\nline", b"\xff\xfe", "größe ☃".encode(), b" ", b"n" * 255]
    await watching.watch(b"")
    for entry in names:
        (root / os.fsdecode(entry)).mkdir()
        await watching.watch(entry)
        (root / os.fsdecode(entry) / os.fsdecode(entry)).mkdir()
    told = await told_until_end(watching, root)
    assert set(told) == {name(b"", entry) for entry in names} | {name(entry, entry) for entry in names}


async def test_only_what_was_listed_for_it_is_watched(watching: Helper, root: Path) -> None:
    (root / "ignored").mkdir()
    (root / "listed").mkdir()
    await watching.watch(b"")
    assert entries(await watching.connection.list_folder(0, b"listed", watch=False)) == {}
    (root / "ignored/file").touch()
    (root / "listed/file").touch()
    assert await told_until_end(watching, root) == []


async def test_list_without_watch_leaves_a_watch_alone(watching: Helper, root: Path) -> None:
    await watching.watch(b"")
    await watching.connection.list_folder(0, b"", watch=False)
    (root / "folder").mkdir()
    assert await told_until_end(watching, root) == [name(b"", b"folder")]


async def test_own_changes_are_told_without_the_temporary_names(watching: Helper, root: Path) -> None:
    await watching.watch(b"")
    operations = file("a", b"1"), protocol.link(Head(0, b"b"), b"x"), protocol.folder(Head(0, b"c", 0o755))
    await watching.connection.write(b"".join(operations))
    assert await watching.connection.commit() == []
    (root / ".loop-me.tmp").symlink_to("x")
    told = await told_until_end(watching, root)
    assert {changed.name for changed in told} == {b"a", b"b", b"c", b".loop-me.tmp"}


async def test_file_of_another_helper_is_told_when_it_has_its_name(helper: Path, root: Path, tmp_path: Path) -> None:
    # by another name, since a helper for the same one would end the first
    other = tmp_path / "other"
    other.symlink_to(root)
    async with helper_on(helper, [root]) as watching, helper_on(helper, [other]) as writing:
        await watching.watch(b"")
        await writing.connection.write(file("a.txt", b"content"))
        assert await writing.connection.commit() == []
        assert await told_until_end(watching, root) == [name(b"", b"a.txt")]


async def test_roots_are_told_apart(helper: Path, tmp_path: Path) -> None:
    roots = [tmp_path / "one", tmp_path / "two"]
    for folder in roots:
        folder.mkdir()
    async with helper_on(helper, roots) as watching:
        await watching.watch(b"", root=0)
        await watching.watch(b"", root=1)
        (roots[1] / "a").mkdir()
        await watching.until_told(b"", b"a", root=1)
        (roots[0] / "b").mkdir()
        await watching.until_told(b"", b"b", root=0)
    assert watching.changes == [name(b"", b"a", 1), name(b"", b"b", 0)]


async def test_folder_of_two_roots_is_told_for_both(helper: Path, root: Path) -> None:
    (root / "inner").mkdir()
    async with helper_on(helper, [root, root / "inner"]) as watching:
        await watching.watch(b"", b"inner", root=0)
        await watching.watch(b"", root=1)
        (root / "inner/a").mkdir()
        await watching.until_told(b"", b"a", root=1)
        await watching.until_told(b"inner", b"a", root=0)
        (root / "inner").rename(root / "moved")
        await watching.until_gone(b"inner")
        await until(lambda: Changed(1, Change.GONE, b"", b"") in watching.changes)


async def test_nothing_slips_into_a_new_folder_unseen(watching: Helper, root: Path) -> None:
    await watching.watch(b"")
    seen: set[bytes] = set()

    async def follow() -> None:
        """As the sender does: lists each new folder, then believes what it is told."""
        while len(seen) < 200:
            await until(lambda: bool(watching.changes), what=f"{len(seen)} seen")
            changes = watching.changes.copy()
            watching.changes.clear()
            seen.update(changed.folder + b"/" + changed.name for changed in changes if changed.folder)
            folders = {changed.name for changed in changes if changed.folder == b""}
            for folder in folders:
                listed = await watching.connection.list_folder(0, folder, watch=True)
                seen.update(folder + b"/" + entry for entry, _ in listed.entries)

    def make() -> None:
        for number in range(200):
            (root / f"{number}").mkdir()
            (root / f"{number}/file").write_text("x")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio.to_thread(make), name="make folders")
        tasks.create_task(follow(), name="follow")
    assert seen == {b"%d/file" % number for number in range(200)}


async def test_renamed_folder_is_gone_with_all_below(watching: Helper, root: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    await watching.watch(b"", b"a", b"a/b")
    (root / "a").rename(root / "c")
    assert await told_until_end(watching, root) == [gone(b"a"), name(b"", b"a"), name(b"", b"c")]
    (root / "c/b/folder").mkdir()
    assert await told_until_end(watching, root) == []
    await watching.watch(b"c", b"c/b")
    (root / "c/b/folder").rmdir()
    assert await told_until_end(watching, root) == [name(b"c/b", b"folder")]


async def test_folder_that_came_back_is_watched_after_it_is_listed(watching: Helper, root: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    await watching.watch(b"", b"a", b"a/b")
    shutil.rmtree(root / "a")
    (root / "a/b").mkdir(parents=True)
    told = await told_until_end(watching, root)
    assert gone(b"a") in told
    assert told[-1] == name(b"", b"a")
    await watching.watch(b"a", b"a/b")
    (root / "a/b/folder").mkdir()
    assert await told_until_end(watching, root) == [name(b"a/b", b"folder")]


async def test_listed_folder_stays_watched_whatever_was_there_before(watching: Helper, root: Path) -> None:
    """The list comes while events of the former folder still wait to be taken."""
    for _ in range(20):
        (root / "a/b").mkdir(parents=True)
        await watching.watch(b"", b"a", b"a/b")
        await stopped(watching)
        shutil.rmtree(root / "a")
        (root / "moved").mkdir()
        (root / "moved").rename(root / "a")
        asked = asyncio.TaskGroup()
        async with asked:
            listing = asked.create_task(watching.connection.list_folder(0, b"a", watch=True), name="list")
            await asyncio.sleep(0)
            watching.process.send_signal(signal.SIGCONT)
        assert listing.result().listing == Listing.END
        await told_until_end(watching, root)
        (root / "a/folder").mkdir()
        assert await told_until_end(watching, root) == [name(b"a", b"folder")]
        shutil.rmtree(root / "a")
        await told_until_end(watching, root)


async def stopped(watching: Helper) -> None:
    watching.process.send_signal(signal.SIGSTOP)
    status = Path(f"/proc/{watching.process.pid}/stat")
    await until(lambda: status.read_text().rpartition(")")[2].split()[0] == "T")


async def test_folder_renamed_while_its_new_name_is_listed_stays_watched(watching: Helper, root: Path) -> None:
    (root / "a").mkdir()
    await watching.watch(b"", b"a")
    await stopped(watching)
    (root / "a").rename(root / "b")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watching.watch(b"b"), name="list")
        await asyncio.sleep(0)
        watching.process.send_signal(signal.SIGCONT)
    await told_until_end(watching, root)
    (root / "b/folder").mkdir()
    assert await told_until_end(watching, root) == [name(b"b", b"folder")]


async def test_folder_that_replaces_an_empty_one_is_told_after_the_end_of_that(watching: Helper, root: Path) -> None:
    (root / "a").mkdir()
    (root / "new").mkdir()
    await watching.watch(b"", b"a")
    (root / "new").rename(root / "a")
    # the system ends a folder when nobody uses it any more, which may take a moment
    await until(lambda: watching.changes[-2:] == [gone(b"a"), name(b"", b"a")], what=str(watching.changes))


async def test_folder_in_use_is_gone_when_it_is_removed(watching: Helper, root: Path) -> None:
    (root / "a").mkdir()
    await watching.watch(b"", b"a")
    descriptor = os.open(root / "a", os.O_RDONLY)
    (root / "a").rmdir()
    assert await told_until_end(watching, root) == [gone(b"a"), name(b"", b"a")]
    os.close(descriptor)


@pytest.mark.parametrize("removed", [True, False], ids=["removed", "moved"])
async def test_end_of_the_root_is_told(watching: Helper, root: Path, removed: bool) -> None:
    await watching.watch(b"")
    if removed:
        root.rmdir()
    else:
        root.rename(root.parent / "elsewhere")
    await watching.until_gone(b"")
    assert watching.changes == [gone(b"")]
    assert (await watching.connection.list_folder(0, b"", watch=True)).reason == Reason.NOT_FOUND
    root.mkdir()
    await watching.watch(b"")
    (root / "a").mkdir()
    await watching.until_told(b"", b"a")


async def test_lost_events_are_told_and_all_is_watched_after_it_is_listed_anew(watching: Helper, root: Path) -> None:
    (root / "folder").mkdir()
    await watching.watch(b"", b"folder")
    await stopped(watching)
    for _ in range(int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())):
        (root / "folder").chmod(0o700)
        root.chmod(0o700)
    watching.process.send_signal(signal.SIGCONT)
    lost = Changed(0, Change.LOST, b"", b"")
    await until(lambda: lost in watching.changes)
    assert watching.changes[-1] == lost
    await watching.watch(b"", b"folder")
    watching.changes.clear()
    (root / "folder/a").mkdir()
    assert await told_until_end(watching, root) == [name(b"folder", b"a")]


async def test_same_change_many_times_is_told_few_times(watching: Helper, root: Path) -> None:
    (root / "a").touch()
    await watching.watch(b"")
    await stopped(watching)
    for _ in range(1000):
        (root / "a").write_bytes(b"x")
        (root / "a").chmod(0o600)
    watching.process.send_signal(signal.SIGCONT)
    told = await told_until_end(watching, root)
    assert set(told) == {name(b"", b"a")}
    # one for each time that the helper wakes up
    assert len(told) < 100


async def test_nothing_is_lost_while_nobody_takes_the_output(helper: Path, root: Path) -> None:
    process = await asyncio.create_subprocess_exec(helper, "sync", root, stdin=-1, stdout=-1, stderr=-1)
    started = Receiver(process)
    await started.greet()
    started.send(protocol.list_folder(1, 0, b"", watch=True))
    assert await started.reply() == protocol.Listed(1, Listing.END, ())
    names = [f"{number}-{'n' * 100}" for number in range(6000)]
    for folder in names:
        (root / folder).mkdir()
    started.send(protocol.commit(7))
    told: set[bytes] = set()
    while len(told) < len(names):
        reply = await started.reply()
        if isinstance(reply, Changed):
            told.add(reply.name)
    await started.end()
    assert told == {folder.encode() for folder in names}


@as_root
@pytest.mark.parametrize(
    ("limit", "count", "words"),
    [
        ("max_inotify_watches", 3, "fs.inotify.max_user_watches"),
        ("max_inotify_instances", 0, "fs.inotify.max_user_instances"),
    ],
)
async def test_end_of_the_systems_watches_is_told(helper: Path, root: Path, limit: str, count: int, words: str) -> None:
    for number in range(5):
        (root / f"{number}").mkdir()
    limited = f'echo {count} > /proc/sys/user/{limit} && exec "$0" sync "$1"'
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--user", "--map-root-user", "sh", "-c", limited, str(helper), str(root)),
        stdin=-1,
        stdout=-1,
        stderr=-1,
    )
    async with connected(Pipes(process), lambda reply: None) as connection:
        await connection.greet()
        listed = [await connection.list_folder(0, b"%d" % number, watch=True) for number in range(5)]
        without = await connection.list_folder(0, b"", watch=False)
        process.kill()
        await process.wait()
    assert [one.listing for one in listed] == [Listing.END] * count + [Listing.FAILED] * (5 - count)
    assert {(one.reason, one.text) for one in listed[count:]} == {(Reason.NO_WATCHES, words)}
    assert len(entries(without)) == 5
