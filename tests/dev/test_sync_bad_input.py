"""What file systems and people come up with, and what is told of it: the sender with the real helper."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from innerloop.ui.json_lines import JsonLines
from tests.dev.sync_containers import Developed
from tests.waiting import until

MEGABYTE = 1024 * 1024


@pytest.fixture
def developed(tmp_path: Path) -> Developed:
    return Developed(tmp_path)


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A file system in memory."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


async def test_folder_that_cannot_be_made_is_told_with_owner_and_mend(tmp_path: Path) -> None:
    developed = Developed(tmp_path, remote="/innerloop-of-tests")
    developed.user = 65534
    developed.look()
    async with developed.following():
        (notice,) = developed.notices()
    assert ": /innerloop-of-tests: permission denied: the container's user is 65534, and / belongs to 0:0" in (
        notice.message
    )
    assert "mount an emptyDir at /innerloop-of-tests" in notice.hint


async def test_full_disk_is_told_and_mended_by_deletions(developed: Developed) -> None:
    with mounted(developed.remote, "size=2m"):
        (developed.local / "old").write_bytes(os.urandom(MEGABYTE))
        developed.look()
        async with developed.following():
            (developed.local / "new").write_bytes(os.urandom(MEGABYTE * 3 // 2))
            developed.look()
            (notice,) = await until(developed.notices)
            assert f"{developed.remote}/new: no space is left" in notice.message
            assert notice.hint.startswith("free some (it is tried again when files are deleted here")
            assert "raise the limit of the volume" in notice.hint
            assert os.listdir(developed.remote) == ["old"]
            (developed.local / "old").unlink()
            await developed.settle()
        assert len(developed.notices()) == 1


async def test_links_that_lead_nowhere_or_in_circles_arrive_as_they_are(developed: Developed) -> None:
    (developed.local / "self").symlink_to("self")
    (developed.local / "one").symlink_to("two")
    (developed.local / "two").symlink_to("one")
    (developed.local / "sub").mkdir()
    (developed.local / "sub/up").symlink_to("..")
    (developed.local / "nowhere").symlink_to("/no/such/place")
    developed.look()
    async with developed.following():
        await developed.settle()
    assert developed.notices() == []


async def test_link_in_the_way_in_the_container_is_told_and_not_followed(developed: Developed) -> None:
    developed.remote.mkdir()
    (developed.remote / "sub").symlink_to("sub")
    (developed.local / "sub").mkdir()
    (developed.local / "sub/a").write_text("1")
    developed.look()
    async with developed.following():
        await developed.settle()
    # our folder takes the place of a link
    assert developed.notices() == []


NAMES = (
    b"new\nline",
    b"quote\"s and 'more'",
    b"\xff\xfe not utf-8",
    b" ",
    b"-rf",
    b"\\",
    b"\t",
    b"n" * 255,
    "ä☃".encode(),
)


async def test_any_name_arrives(developed: Developed) -> None:
    for name in NAMES:
        (developed.local / os.fsdecode(name)).write_bytes(name)
    developed.look()
    async with developed.following():
        await developed.settle()
        for name in NAMES:
            (developed.local / os.fsdecode(name)).unlink()
        await developed.settle()
    assert developed.notices() == []


@pytest.mark.parametrize(
    ("name", "told"), [(b"\xff", r"\xff"), (b"a\nb", r"a\nb"), (b"\x1b[2J", r"\x1b[2J"), ("ä".encode(), "ä")]
)
async def test_any_name_is_told_as_text(developed: Developed, name: bytes, told: str) -> None:
    developed.remote.mkdir()
    (developed.local / os.fsdecode(name)).write_text("a file")
    (developed.local / "more").write_text("1")
    (developed.remote / os.fsdecode(name)).mkdir()
    (developed.remote / os.fsdecode(name) / "own.log").write_text("x")
    developed.look()
    async with developed.following():
        shutil.rmtree(developed.remote / os.fsdecode(name))
        (developed.local / "more").write_text("2")
        await developed.settle()
    (notice,) = developed.notices()
    assert f"/remote/{told}: a folder is in its place" in notice.message
    # a save that is found with its writer still at it comes a moment later
    assert {path for batch in developed.synced()[1:] for path in batch.paths} == {told, "more"}
    output = io.StringIO()
    for event in developed.events:
        JsonLines(output)(event)


async def test_path_longer_than_the_system_opens_is_told_and_the_rest_arrives(developed: Developed) -> None:
    folder = os.open(developed.local, os.O_PATH)
    name = "d" * 250
    for _ in range(17):
        os.mkdir(name, dir_fd=folder)
        folder, former = os.open(name, os.O_PATH, dir_fd=folder), folder
        os.close(former)
    os.close(folder)
    (developed.local / "a").write_text("1")
    errors = developed.look()
    async with developed.following():
        await until(lambda: (developed.remote / "a").exists())
    assert [error.strerror for error in errors.values()] == ["File name too long"]


async def test_folder_that_becomes_a_file_and_back_keeps_what_is_the_container_s_own(developed: Developed) -> None:
    (developed.local / "data").mkdir()
    (developed.local / "data/ours").write_text("1")
    developed.look()
    async with developed.following():
        await until(lambda: (developed.remote / "data/ours").exists())
        (developed.remote / "data/own.log").write_text("precious")
        shutil.rmtree(developed.local / "data")
        (developed.local / "data").write_text("a file")
        developed.look()
        (notice,) = await until(developed.notices)
        assert f"{developed.remote}/data: a folder is in its place, with files that sync does not manage" in (
            notice.message
        )
        (developed.local / "data").unlink()
        (developed.local / "data").mkdir()
        (developed.local / "data/ours").write_text("2")
        await developed.settle()
    assert (developed.remote / "data/own.log").read_text() == "precious"
    assert len(developed.notices()) == 1


async def test_folder_deleted_and_made_again_with_other_content_is_equal(developed: Developed) -> None:
    developed.look()
    async with developed.following():
        for number in range(10):
            for name in ("same", str(number)):
                (developed.local / "sub/deep").mkdir(parents=True, exist_ok=True)
                (developed.local / f"sub/deep/{name}").write_text(str(number))
            if number % 2:
                developed.look()
            else:
                await developed.settle()
            shutil.rmtree(developed.local / "sub")
        await developed.settle()
    assert developed.notices() == []


@pytest.mark.parametrize("seconds", [-(2**31), 0, 2**31 + 5, 2**33, 2**34])
async def test_times_in_the_far_past_or_future_lose_no_edit(developed: Developed, seconds: int) -> None:
    developed.look()
    async with developed.following():
        for content in ("1", "2", "3"):
            (developed.local / "a").write_text(content)
            os.utime(developed.local / "a", (seconds, seconds))
            await developed.settle()
            os.utime(developed.remote / "a", (seconds, seconds))
    assert developed.notices() == []


async def test_sockets_and_pipes_are_left_alone(developed: Developed) -> None:
    (developed.local / "a").write_text("1")
    developed.look()
    async with developed.following(), contextlib.AsyncExitStack() as stack:
        (developed.local / "a").unlink()
        os.mkfifo(developed.local / "a")
        os.mkfifo(developed.local / "pipe")
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(developed.local / "socket"))
        (developed.local / "b").write_text("1")
        developed.look()
        await until(lambda: (developed.remote / "b").exists() and not (developed.remote / "a").exists())
    assert sorted(os.listdir(developed.remote)) == ["b"]
    assert developed.notices() == []


async def test_large_files_need_no_memory(developed: Developed) -> None:
    size = 200 * MEGABYTE
    with (developed.local / "sparse").open("wb") as file:
        file.truncate(size)
    developed.look()
    Path("/proc/self/clear_refs").write_text("5")
    before = peak("self")
    async with developed.following():
        assert developed.pipes
        helper = peak(str(developed.pipes.process.pid))
        assert (developed.remote / "sparse").stat().st_size == size
    assert peak("self") - before < 20 * MEGABYTE
    assert helper < 4 * MEGABYTE


def peak(process: str) -> int:
    """The most memory that a process had since it began, or since that was forgotten."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
