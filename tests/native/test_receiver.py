"""`loop-helper sync` as a real process, driven by the protocol's Python side."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from innerloop.dev.sync import protocol
from innerloop.dev.sync.protocol import Difference, Expected, Head, Reason
from tests.native.receiver import Receiver, expect_file, file, sha256
from tests.waiting import until

Start = Callable[..., Awaitable[Receiver]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


async def test_file_arrives_with_content_and_mode(receiver: Start, root: Path) -> None:
    started = await receiver()
    assert await started.commit(file("run.sh", b"#!/bin/sh\n", 0o755)) == []
    assert (root / "run.sh").read_bytes() == b"#!/bin/sh\n"
    assert mode_of(root / "run.sh") == 0o755


async def test_missing_root_and_parents_are_made(receiver: Start, tmp_path: Path) -> None:
    started = await receiver("new/root")
    assert await started.commit(file("a/b/c.txt", b"deep")) == []
    assert (tmp_path / "new/root/a/b/c.txt").read_bytes() == b"deep"


async def test_file_of_many_chunks_arrives_whole(receiver: Start, root: Path) -> None:
    chunk = os.urandom(protocol.CHUNK)
    frames = [protocol.file_data(chunk)] * 100
    started = await receiver()
    head = Head(0, b"large.bin", 0o600)
    assert await started.commit(protocol.file_begin(head), *frames, protocol.file_end(sha256(chunk * 100))) == []
    assert (root / "large.bin").read_bytes() == chunk * 100


async def test_reader_of_a_replaced_file_keeps_the_old_content(receiver: Start, root: Path) -> None:
    (root / "a.txt").write_bytes(b"old")
    started = await receiver()
    with (root / "a.txt").open("rb") as reader:
        await started.commit(file("a.txt", b"new content"))
        assert reader.read() == b"old"
    assert (root / "a.txt").read_bytes() == b"new content"


async def test_existing_file_keeps_its_mode_and_gains_the_executable_bit(receiver: Start, root: Path) -> None:
    for name, mode in (("entry.sh", 0o755), ("tool.py", 0o664)):
        (root / name).touch()
        (root / name).chmod(mode)
    started = await receiver()
    await started.commit(file("entry.sh", b"1", 0o644), file("tool.py", b"2", 0o755))
    assert mode_of(root / "entry.sh") == 0o755
    assert mode_of(root / "tool.py") == 0o775


async def test_exact_mode_is_set_on_an_existing_file(receiver: Start, root: Path) -> None:
    (root / "entry.sh").touch()
    (root / "entry.sh").chmod(0o755)
    started = await receiver()
    await started.commit(file("entry.sh", b"1", 0o600, exact=True))
    assert mode_of(root / "entry.sh") == 0o600
    await started.commit(protocol.mode(Head(0, b"entry.sh", 0o711, True)))
    assert mode_of(root / "entry.sh") == 0o711


async def test_edit_of_equal_size_within_a_second_gets_another_second(receiver: Start, root: Path) -> None:
    started = await receiver()
    seconds = set()
    for content in (b"one", b"two", b"six"):
        await started.commit(file("mod.py", content))
        seconds.add(int((root / "mod.py").stat().st_mtime))
    assert len(seconds) == 3


async def test_links_and_empty_folders_arrive(receiver: Start, root: Path) -> None:
    started = await receiver()
    await started.commit(
        protocol.folder(Head(0, b"empty", 0o750)),
        protocol.link(Head(0, b"link"), b"../elsewhere"),
        protocol.link(Head(0, b"link"), b"empty"),
    )
    assert (root / "empty").is_dir()
    assert mode_of(root / "empty") == 0o750
    assert os.readlink(root / "link") == "empty"


async def test_deleted_paths_are_gone_and_missing_ones_are_no_error(receiver: Start, root: Path) -> None:
    (root / "folder").mkdir()
    (root / "folder/file").touch()
    (root / "link").symlink_to("folder")
    paths = [b"folder/file", b"folder", b"link", b"never", b"never/was", b"folder/file/below"]
    started = await receiver()
    assert await started.commit(*(protocol.delete(Head(0, path)) for path in paths)) == []
    assert list(root.iterdir()) == []


async def test_folder_with_other_files_is_not_deleted(receiver: Start, root: Path) -> None:
    (root / "folder").mkdir()
    (root / "folder/data").touch()
    started = await receiver()
    (failed,) = await started.commit(protocol.delete(Head(0, b"folder")))
    assert failed.reason == Reason.NOT_EMPTY
    assert (root / "folder/data").exists()


async def test_rename_moves_when_the_content_is_as_told(receiver: Start, root: Path) -> None:
    (root / "old.txt").write_bytes(b"content")
    (root / "old.txt").chmod(0o640)
    started = await receiver()
    assert await started.commit(protocol.rename(Head(0, b"to/new.txt", 0o644), b"old.txt", sha256(b"content"))) == []
    assert (root / "to/new.txt").read_bytes() == b"content"
    assert mode_of(root / "to/new.txt") == 0o640
    assert not (root / "old.txt").exists()


async def test_rename_of_another_content_is_refused(receiver: Start, root: Path) -> None:
    (root / "old.txt").write_bytes(b"changed in the container")
    started = await receiver()
    (failed,) = await started.commit(protocol.rename(Head(0, b"new.txt"), b"old.txt", sha256(b"content")))
    assert failed.reason == Reason.CHANGED
    assert [path.name for path in root.iterdir()] == ["old.txt"]


async def test_kinds_replace_each_other(receiver: Start, root: Path) -> None:
    (root / "folder").mkdir()
    (root / "file").touch()
    (root / "link").symlink_to("file")
    (root / "folder-2").mkdir()
    started = await receiver()
    failed = await started.commit(
        file("folder", b"now a file"),
        protocol.folder(Head(0, b"file", 0o755)),
        protocol.folder(Head(0, b"link", 0o755)),
        protocol.link(Head(0, b"folder-2"), b"file"),
    )
    assert failed == []
    assert (root / "folder").read_bytes() == b"now a file"
    assert (root / "file").is_dir()
    assert (root / "link").is_dir()
    assert not (root / "link").is_symlink()
    assert os.readlink(root / "folder-2") == "file"


async def test_check_tells_each_difference(receiver: Start, root: Path) -> None:
    for name in ("same", "content", "size", "mode", "kind"):
        (root / name).write_bytes(b"1234")
        (root / name).chmod(0o644)
    (root / "folder").mkdir()
    (root / "link").symlink_to("target")
    started = await receiver()
    results = await started.check(
        [
            expect_file("same", b"1234"),
            expect_file("same", b"1234", 0o600),
            expect_file("same", b"1234", 0o600, exact=True),
            expect_file("content", b"5678"),
            expect_file("size", b"12345"),
            expect_file("mode", b"1234", 0o755),
            expect_file("missing", b"1234"),
            expect_file("folder/missing/too", b"1234"),
            Expected(Head(0, b"kind"), b"d", 0, bytes(32)),
            Expected(Head(0, b"folder", 0o700), b"d", 0, bytes(32)),
            Expected(Head(0, b"link"), b"l", 6, sha256(b"target")),
            Expected(Head(0, b"link"), b"l", 5, sha256(b"other")),
            Expected(Head(0, b""), b"d", 0, bytes(32)),
        ]
    )
    same, content, missing = Difference.SAME, Difference.CONTENT, Difference.MISSING
    kind, mode = Difference.KIND, Difference.MODE
    assert results == [
        same, same, mode, content, content, mode, missing, missing, kind, same, same, content, same,
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["../out", "a/../../out", "/out", "a//b", "./a", "a/.", "", "a/", ".."])
async def test_path_that_leads_elsewhere_is_refused(receiver: Start, root: Path, tmp_path: Path, path: str) -> None:
    (root / "a").mkdir()
    started = await receiver()
    (failed,) = await started.commit(file(path, b"evil"))
    assert failed.reason == Reason.OUTSIDE
    assert not list(tmp_path.rglob("out"))


async def test_no_operation_follows_a_link_out_of_the_root(receiver: Start, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(b"precious")
    (root / "link").symlink_to(outside)
    (root / "alias").symlink_to(outside / "victim")
    started = await receiver()
    failed = await started.commit(
        file("link/new", b"evil"),
        protocol.folder(Head(0, b"link/new", 0o755)),
        protocol.link(Head(0, b"link/new"), b"x"),
        protocol.rename(Head(0, b"new"), b"link/victim", sha256(b"precious")),
        protocol.rename(Head(0, b"new"), b"alias", sha256(b"precious")),
        protocol.mode(Head(0, b"alias", 0o777, True)),
        protocol.delete(Head(0, b"link/victim")),
    )
    assert len(failed) == 6
    await started.commit(file("alias", b"replaces the link"))
    assert [path.name for path in outside.iterdir()] == ["victim"]
    assert (outside / "victim").read_bytes() == b"precious"
    assert (root / "alias").read_bytes() == b"replaces the link"


async def test_content_that_does_not_match_its_digest_is_dropped(receiver: Start, root: Path) -> None:
    (root / "a.txt").write_bytes(b"old")
    started = await receiver()
    (failed,) = await started.commit(protocol.file(Head(0, b"a.txt", 0o644), b"new", sha256(b"other")))
    assert failed.reason == Reason.CHANGED
    assert [path.name for path in root.iterdir()] == ["a.txt"]
    assert (root / "a.txt").read_bytes() == b"old"


async def test_aborted_and_unfinished_files_leave_nothing(receiver: Start, root: Path) -> None:
    started = await receiver()
    head = Head(0, b"a.txt", 0o644)
    assert await started.commit(protocol.file_begin(head), protocol.file_data(b"1"), protocol.file_abort()) == []
    assert await started.commit(protocol.file_begin(head), protocol.file_data(b"2")) == []
    assert len(list(root.iterdir())) == 1
    await started.end()
    assert list(root.iterdir()) == []


async def test_error_on_one_path_leaves_the_others_alone(receiver: Start, root: Path) -> None:
    started = await receiver()
    failed = await started.commit(file("a", b"1"), file("n" * 300, b"2"), file("b", b"3"))
    assert [(failure.path, failure.reason) for failure in failed] == [(b"n" * 300, Reason.OTHER)]
    assert sorted(path.name for path in root.iterdir()) == ["a", "b"]


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user")
async def test_unwritable_folder_is_told_with_its_owner(helper: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        program = shutil.copy(helper, place)
        process = await asyncio.create_subprocess_exec(
            program, "sync", place, stdin=-1, stdout=-1, stderr=-1, user=1234, group=1234, extra_groups=[]
        )
        started = Receiver(process)
        assert (await started.greet()).uid == 1234
        (failed,) = await started.commit(file("a/b", b"1"))
        await started.end()
    assert failed.reason == Reason.PERMISSION
    assert failed.folder == f"{place} belongs to 0:0, mode 0755"


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user's files")
async def test_replaced_and_new_files_belong_to_who_owned_the_place(receiver: Start, root: Path) -> None:
    (root / "a").touch()
    os.chown(root / "a", 1001, 1002)
    os.chown(root, 1003, 1004)
    started = await receiver()
    await started.commit(file("a", b"1"), file("b", b"2"))
    assert ((root / "a").stat().st_uid, (root / "a").stat().st_gid) == (1001, 1002)
    assert ((root / "b").stat().st_uid, (root / "b").stat().st_gid) == (1003, 1004)


async def test_roots_are_told_apart(receiver: Start, tmp_path: Path) -> None:
    started = await receiver("one", "two")
    await started.commit(file("a", b"1", root=0), file("a", b"2", root=1))
    assert (tmp_path / "one/a").read_bytes() == b"1"
    assert (tmp_path / "two/a").read_bytes() == b"2"


async def test_names_are_bytes(receiver: Start, root: Path) -> None:
    names = [b"new\nline", b"\xff\xfe", "größe ☃".encode(), b"-rf", b" "]
    started = await receiver()
    assert await started.commit(*(file(name, name) for name in names)) == []
    assert {name: Path(os.fsdecode(os.path.join(os.fsencode(root), name))).read_bytes() for name in names} == {
        name: name for name in names
    }


async def test_restart_without_supervisor_is_answered(receiver: Start) -> None:
    started = await receiver()
    started.send(protocol.restart(7))
    assert await started.reply() == protocol.Restarted(7, protocol.RestartResult.NO_SUPERVISOR, "")


async def test_signal_without_supervisor_is_answered(receiver: Start) -> None:
    started = await receiver()
    started.send(protocol.signal(7, 1))
    assert await started.reply() == protocol.Signalled(7, protocol.SignalResult.NO_SUPERVISOR)


async def test_welcome_tells_the_containers_time(helper: Path, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(helper, "sync", tmp_path, stdin=-1, stdout=-1, stderr=-1)
    started = Receiver(process)
    before = time.time_ns()
    welcome = await started.greet()
    assert before <= welcome.clock <= time.time_ns()
    await started.end()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    frames=st.lists(
        st.tuples(st.integers(1, 18), st.binary(max_size=200)).map(
            lambda parts: len(parts[1]).to_bytes(4, "little") + bytes([parts[0]]) + parts[1]
        ),
        max_size=5,
    ),
    tail=st.binary(max_size=40),
)
async def test_arbitrary_bytes_change_nothing_outside_and_never_crash(
    receiver: Start, tmp_path: Path, frames: list[bytes], tail: bytes
) -> None:
    started = await receiver()
    started.send(b"".join(frames) + tail)
    await started.end()
    assert {path.name for path in tmp_path.iterdir()} <= {"root"}


async def test_new_receiver_ends_the_one_before_it_though_that_is_stopped(helper: Path, root: Path) -> None:
    """What the former had still to write is older than what the new one writes."""

    async def receive() -> Receiver:
        started = Receiver(await asyncio.create_subprocess_exec(helper, "sync", root, stdin=-1, stdout=-1, stderr=-1))
        await started.greet()
        return started

    former = await receive()
    await former.commit(file("a", b"first"))
    former.process.send_signal(signal.SIGSTOP)
    former.send(file("a", b"second"))
    new = await receive()
    assert await new.commit(file("a", b"third")) == []
    assert await former.process.wait() == -signal.SIGKILL
    assert (root / "a").read_bytes() == b"third"
    await new.end()


async def test_receivers_of_different_folders_leave_each_other_alone(receiver: Start, tmp_path: Path) -> None:
    one, other = await receiver("one"), await receiver("other", "other")
    for number in (b"1", b"2"):
        assert await one.commit(file("a", number)) == []
        assert await other.commit(file("a", number, root=1)) == []
    assert (tmp_path / "one/a").read_bytes() == (tmp_path / "other/a").read_bytes() == b"2"


async def unfinished(helper: Path, root: Path, path: bytes) -> Receiver:
    """A receiver with half a file."""
    started = Receiver(await asyncio.create_subprocess_exec(helper, "sync", root, stdin=-1, stdout=-1, stderr=-1))
    await started.greet()
    started.send(protocol.file_begin(Head(0, path, 0o644)) + protocol.file_data(b"part"))
    await until(lambda: list(root.rglob(".loop-*")))
    return started


async def look_for_leftovers(started: Receiver, folder: bytes, way: str) -> None:
    if way == "compared":
        await started.check([Expected(Head(0, folder), b"d", 0, bytes(32))])
    elif way == "listed":
        started.send(protocol.list_folder(1, 0, folder, watch=True))
        assert isinstance(await started.reply(), protocol.Listed)
    elif way == "deleted":
        assert await started.commit(protocol.delete(Head(0, folder))) == []
    else:
        await started.check([Expected(Head(0, b"file"), b"f", 0, bytes(32))])


@pytest.mark.parametrize(
    ("way", "folder"), [("compared", b"sub"), ("listed", b"sub"), ("deleted", b"sub"), ("file compared", b"")]
)
async def test_what_a_killed_receiver_left_is_removed(
    helper: Path, receiver: Start, root: Path, way: str, folder: bytes
) -> None:
    killed = await unfinished(helper, root, folder + b"/large" if folder else b"large")
    killed.process.kill()
    await killed.process.wait()
    await look_for_leftovers(await receiver(), folder, way)
    assert list(root.rglob(".loop-*")) == []


async def test_what_a_receiver_left_that_this_one_ended_is_removed(helper: Path, receiver: Start, root: Path) -> None:
    """Though nobody has waited for its end yet."""
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    former = subprocess.Popen([helper, "sync", root], stdin=pipe, stdout=nothing)  # noqa: ASYNC220 # asyncio would wait
    assert former.stdin
    former.stdin.write(protocol.hello() + protocol.file_begin(Head(0, b"large", 0o644)))
    former.stdin.flush()
    await until(lambda: list(root.glob(".loop-*")))
    await look_for_leftovers(await receiver(), b"", "compared")
    assert list(root.iterdir()) == []
    assert former.wait() == -signal.SIGKILL
    former.stdin.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_receiver_that_is_asked_to_end_removes_what_it_has_not_finished(
    helper: Path, root: Path, number: signal.Signals
) -> None:
    asked = await unfinished(helper, root, b"large")
    asked.process.send_signal(number)
    async with asyncio.timeout(20):
        assert await asked.process.wait() == 0
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("way", ["compared", "listed", "file compared"])
async def test_file_on_its_way_from_elsewhere_is_not_removed(
    receiver: Start, root: Path, tmp_path: Path, way: str
) -> None:
    """A volume may be shared by two containers that are both developed."""
    (tmp_path / "same").symlink_to(root)
    one, other = await receiver("root"), await receiver("same")
    one.send(protocol.file_begin(Head(0, b"a", 0o644)) + protocol.file_data(b"1"))
    await until(lambda: list(root.glob(".loop-*")))
    await look_for_leftovers(other, b"", way)
    assert await one.commit(protocol.file_end(sha256(b"1"))) == []
    assert (root / "a").read_bytes() == b"1"


@pytest.mark.parametrize("way", ["compared", "listed"])
async def test_what_a_killed_receiver_had_put_aside_comes_to_light(receiver: Start, root: Path, way: str) -> None:
    """The container may have written it at the last moment."""
    (root / ".loop-99999999-3.old").write_bytes(b"theirs")
    await look_for_leftovers(await receiver(), b"", way)
    assert [(path.name, path.read_bytes()) for path in root.iterdir()] == [("loop-99999999-3.old", b"theirs")]


@pytest.mark.parametrize("kind", ["file", "link"])
async def test_what_another_receiver_is_about_to_rename_is_not_removed(
    receiver: Start, root: Path, tmp_path: Path, kind: str
) -> None:
    """Right before its rename a file is not locked any more, and a link never is."""
    other = await receiver("elsewhere")
    place = root / f".loop-{other.process.pid}-1.tmp"
    if kind == "file":
        place.touch()
    else:
        place.symlink_to("a")
    await look_for_leftovers(await receiver(), b"", "compared")
    assert place.is_symlink() or place.exists()


async def test_modes_do_not_depend_on_the_umask(helper: Path, root: Path) -> None:
    process = await asyncio.create_subprocess_exec(helper, "sync", root, stdin=-1, stdout=-1, stderr=-1, umask=0o077)
    started = Receiver(process)
    await started.greet()
    await started.commit(file("made/a", b"1", 0o664), protocol.folder(Head(0, b"b", 0o775)))
    await started.end()
    assert [mode_of(root / name) for name in ("made", "made/a", "b")] == [0o755, 0o664, 0o775]


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user's files")
async def test_replaced_program_of_another_user_keeps_its_set_user_id_bit(receiver: Start, root: Path) -> None:
    (root / "a").touch()
    os.chown(root / "a", 1001, 1002)
    (root / "a").chmod(0o4755)
    started = await receiver()
    await started.commit(file("a", b"1"))
    assert ((root / "a").stat().st_uid, mode_of(root / "a")) == (1001, 0o4755)


async def test_receiver_says_that_it_is_alive_until_all_is_acknowledged(receiver: Start, root: Path) -> None:
    started = await receiver()
    started.send(protocol.file_begin(Head(0, b"a", 0o644)))
    assert await started.reply() == protocol.Alive()
    assert await started.reply() == protocol.Alive()
    assert await started.commit(protocol.file_end(sha256(b""))) == []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await started.reply()
