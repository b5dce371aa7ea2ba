"""What the helper tells of files, links and folders, as a real process."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from innerloop.dev.sync import protocol
from innerloop.dev.sync.protocol import Checked, Difference, Expected, Found, Head, Listing, Looked, Reason
from tests.native.connecting import Helper, entries, helper_on
from tests.native.receiver import Receiver, file, sha256

MANY = 100_000
LARGE = 16 * 1024 * 1024
Start = Callable[..., Awaitable[Receiver]]
as_root = pytest.mark.skipif(os.getuid() != 0, reason="needs another user")
STRANGE = [b"new\nline", b"\xff\xfe", "größe ☃".encode(), b"-rf", b" ", b"n" * 255, b".loop-me.tmp", b"..."]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
async def looking(helper: Path, root: Path) -> AsyncIterator[Helper]:
    async with helper_on(helper, [root]) as started:
        yield started


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with more entries than fit any frame, and one of them large."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(MANY):
        os.mknod(f"{folder}/entry-{number}", 0o100644)
    with (folder / "entry-0").open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    yield folder
    shutil.rmtree(folder)


def found(path: Path, kind: bytes, digest: bytes = bytes(32)) -> Found:
    stat = path.lstat()
    return Found(kind, stat.st_mode & 0o777, stat.st_size, stat.st_mtime_ns, digest)


NOTHING = Found(b"-", 0, 0, 0)


async def test_look_tells_what_is_at_each_path(looking: Helper, root: Path) -> None:
    (root / "file").write_bytes(b"content")
    (root / "file").chmod(0o4751)
    (root / "folder").mkdir(mode=0o700)
    (root / "link").symlink_to("file")
    paths = [b"file", b"folder", b"link", b"missing", b"missing/too", b"file/below", b""]
    assert await looking.connection.look([(0, path) for path in paths]) == [
        found(root / "file", b"f", sha256(b"content")),
        found(root / "folder", b"d"),
        found(root / "link", b"l", sha256(b"file")),
        *[NOTHING] * 3,
        found(root, b"d"),
    ]


async def test_large_file_is_hashed_whole(looking: Helper, root: Path) -> None:
    content = os.urandom(3_000_001)
    (root / "large").write_bytes(content)
    assert (await looking.look(b"large")).digest == sha256(content)


@pytest.fixture
def large(root: Path) -> Path:
    """A file that is hashed in many slices."""
    with (root / "large").open("wb") as file:
        file.truncate(LARGE)
    return root / "large"


def compare_large(content: int) -> Expected:
    digest = hashlib.sha256(bytes(LARGE - 1) + bytes([content])).digest()
    return Expected(Head(0, b"large", 0o644), b"f", LARGE, digest)


@pytest.mark.parametrize("question", ["look", "check"])
async def test_save_does_not_wait_for_a_large_file_to_be_hashed(
    receiver: Start, root: Path, large: Path, question: str
) -> None:
    started = await receiver()
    asked = protocol.look(1, [(0, b"large")]) if question == "look" else protocol.check(1, [compare_large(0)])
    started.send(asked + file("saved", b"content") + protocol.commit(2))
    assert await started.reply() == protocol.Committed(2)
    assert (root / "saved").read_bytes() == b"content"
    answer = await started.reply()
    assert isinstance(answer, Looked | Checked)
    assert answer.id == 1


async def test_large_files_are_told_among_others_in_the_order_asked(looking: Helper, root: Path, large: Path) -> None:
    (root / "small").write_bytes(b"content")
    names = [b"large", b"small", b"missing", b"large", b"small"]
    looked = await asyncio.gather(*(looking.connection.look([(0, name) for name in names]) for _ in range(3)))
    expected = {
        b"large": found(large, b"f", hashlib.sha256(bytes(LARGE)).digest()),
        b"small": found(root / "small", b"f", sha256(b"content")),
        b"missing": NOTHING,
    }
    assert looked == [[expected[name] for name in names]] * 3


async def test_large_files_are_compared_by_content_and_mode(looking: Helper, large: Path) -> None:
    large.chmod(0o644)
    same, other = compare_large(0), compare_large(1)
    other_mode = same._replace(head=same.head._replace(mode=0o755))
    result = await looking.connection.check([same, other, other_mode, same])
    assert [Difference(one) for one in result] == [
        Difference.SAME, Difference.CONTENT, Difference.MODE, Difference.SAME,
    ]  # fmt: skip


async def test_large_file_that_goes_while_it_is_hashed_is_told_as_it_was(
    receiver: Start, root: Path, large: Path
) -> None:
    was = found(large, b"f", hashlib.sha256(bytes(LARGE)).digest())
    started = await receiver()
    started.send(protocol.look(1, [(0, b"large")]) + protocol.delete(Head(0, b"large")) + protocol.commit(2))
    assert await started.reply() == protocol.Committed(2)
    assert await started.reply() == Looked(1, (was,))


async def test_more_paths_than_fit_a_frame_are_answered_in_order(looking: Helper, root: Path) -> None:
    for number in range(0, 10_000, 100):
        (root / f"{number}").touch()
    kinds = [one.kind for one in await looking.connection.look([(0, b"%d" % number) for number in range(10_000)])]
    assert kinds == [b"f" if number % 100 == 0 else b"-" for number in range(10_000)]


@pytest.mark.parametrize("path", [b"../out", b"/out", b"a/../../out", b"a//b", b"./a", b"..", b"n\0l", b"x" * 300])
async def test_nothing_is_where_no_path_of_the_root_leads(looking: Helper, root: Path, path: bytes) -> None:
    (root.parent / "out").touch()
    assert await looking.look(path) == NOTHING
    assert (await looking.connection.read(0, path, 0, 10)) == protocol.Content(2, NOTHING, b"")
    assert (await looking.connection.list_folder(0, path, watch=True)).listing == Listing.FAILED


async def test_links_are_never_followed(looking: Helper, root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (root / "link").symlink_to(outside)
    (root / "alias").symlink_to(outside / "secret")
    content = await looking.connection.read(0, b"alias", 0, 1000)
    listed = await looking.connection.list_folder(0, b"link", watch=True)
    assert await looking.look(b"link/secret") == NOTHING
    assert await looking.connection.read(0, b"link/secret", 0, 10) == protocol.Content(4, NOTHING, b"")
    assert (content.found.kind, content.data) == (b"l", os.fsencode(outside / "secret"))
    assert (listed.listing, listed.reason) == (Listing.FAILED, Reason.LINK_IN_PATH)


async def test_loop_of_links_is_links(looking: Helper, root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    (root / "self").symlink_to(".")
    listed = entries(await looking.connection.list_folder(0, b"", watch=True))
    assert {name: one.kind for name, one in listed.items()} == {b"a": b"l", b"b": b"l", b"self": b"l"}
    assert await looking.look(b"a/x") == NOTHING
    assert await looking.look(b"self/self") == NOTHING
    assert (await looking.connection.read(0, b"a", 0, 10)).data == b"b"


async def test_pipes_and_sockets_are_neither_opened_nor_waited_for(looking: Helper, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        writer = asyncio.create_subprocess_exec("sh", "-c", f"echo x > {root}/pipe")
        process = await writer
        listed = entries(await looking.connection.list_folder(0, b"", watch=True))
        looked = await looking.connection.look([(0, b"pipe"), (0, b"socket")])
        read = [await looking.connection.read(0, name, 0, 10) for name in (b"pipe", b"socket")]
        # who waits for a reader of the pipe still does
        assert process.returncode is None
        process.kill()
        await process.wait()
    assert {name: one.kind for name, one in listed.items()} == {b"pipe": b"o", b"socket": b"o"}
    assert [one.kind for one in looked] == [b"o", b"o"]
    assert [(one.found.kind, one.data) for one in read] == [(b"o", b"")] * 2


@as_root
async def test_what_may_not_be_read_is_told_to_be_there(helper: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        (place / "closed").mkdir(mode=0o700)
        (place / "closed/file").touch()
        (place / "names").mkdir()
        (place / "names").chmod(0o711)
        (place / "secret").write_bytes(b"secret")
        (place / "secret").chmod(0o600)
        program = shutil.copy(helper, place)
        async with helper_on(Path(program), [place], user=1234) as looking:
            secret, below = await looking.connection.look([(0, b"secret"), (0, b"closed/file")])
            read = await looking.connection.read(0, b"secret", 0, 10)
            listed = entries(await looking.connection.list_folder(0, b"", watch=False))
            refused = [await looking.connection.list_folder(0, b"names", watch=watch) for watch in (False, True)]
        assert secret == found(place / "secret", b"!")
        assert below.kind == b"!"
        assert (read.found.kind, read.data) == (b"!", b"")
        assert listed[b"secret"] == found(place / "secret", b"f")
    assert [(one.listing, one.reason) for one in refused] == [(Listing.FAILED, Reason.PERMISSION)] * 2


async def test_list_tells_all_entries_without_digests(looking: Helper, root: Path) -> None:
    (root / "file").write_bytes(b"content")
    (root / "folder").mkdir()
    (root / "folder/not listed").touch()
    (root / "link").symlink_to("nowhere")
    listed = entries(await looking.connection.list_folder(0, b"", watch=False))
    assert listed == {
        b"file": found(root / "file", b"f"),
        b"folder": found(root / "folder", b"d"),
        b"link": found(root / "link", b"l"),
    }


async def test_names_are_bytes(looking: Helper, root: Path) -> None:
    for name in STRANGE:
        (root / os.fsdecode(name)).write_bytes(name)
    assert set(entries(await looking.connection.list_folder(0, b"", watch=True))) == set(STRANGE)
    looked = await looking.connection.look([(0, name) for name in STRANGE])
    assert [one.digest for one in looked] == [sha256(name) for name in STRANGE]
    assert [(await looking.connection.read(0, name, 0, 1000)).data for name in STRANGE] == STRANGE


@pytest.mark.parametrize("path", [b"missing", b"file", b"file/below", b"missing/below"])
async def test_list_of_what_is_no_folder_finds_nothing(looking: Helper, root: Path, path: bytes) -> None:
    (root / "file").touch()
    listed = await looking.connection.list_folder(0, path, watch=True)
    assert (listed.listing, listed.reason, listed.entries) == (Listing.FAILED, Reason.NOT_FOUND, ())


async def test_files_on_their_way_are_not_listed(looking: Helper, root: Path) -> None:
    await looking.connection.write(protocol.file_begin(protocol.Head(0, b"a")))
    assert await looking.connection.commit() == []
    assert [path.name for path in root.iterdir()] == [f".loop-{looking.process.pid}-1.tmp"]
    assert entries(await looking.connection.list_folder(0, b"", watch=False)) == {}


async def test_folder_of_any_size_is_listed_whole(helper: Path, many: Path) -> None:
    async with helper_on(helper, [many]) as looking:
        listed = entries(await looking.connection.list_folder(0, b"", watch=True))
    assert set(listed) == {b"entry-%d" % number for number in range(MANY)}


async def test_memory_does_not_grow_with_files_and_folders(build_of_this_machine: Path, many: Path) -> None:
    async with helper_on(build_of_this_machine, [many]) as looking:
        before = memory(looking)
        await looking.connection.list_folder(0, b"", watch=True)
        await looking.look(b"entry-0")
        parts = [await looking.connection.read(0, b"entry-0", at, protocol.CHUNK) for at in range(0, 2**25, 2**20)]
        after = memory(looking)
    assert {len(part.data) for part in parts} == {protocol.CHUNK}
    assert after - before < 1024


def memory(helper: Helper) -> int:
    """The most that it had so far, in KB."""
    status = Path(f"/proc/{helper.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


async def test_parts_make_the_whole(looking: Helper, root: Path) -> None:
    content = os.urandom(3 * protocol.CHUNK + 7)
    (root / "file").write_bytes(content)
    offsets = range(0, len(content), protocol.CHUNK)
    parts = await asyncio.gather(*(looking.connection.read(0, b"file", at, protocol.CHUNK) for at in offsets))
    assert b"".join(part.data for part in parts) == content
    assert {part.found for part in parts} == {found(root / "file", b"f")}


@pytest.mark.parametrize("offset", [10, 11, 2**31, 2**63 - 1, 2**63, 2**64 - 1])
async def test_nothing_is_behind_the_end(looking: Helper, root: Path, offset: int) -> None:
    (root / "file").write_bytes(b"0123456789")
    (root / "link").symlink_to("0123456789")
    file, link = [await looking.connection.read(0, name, offset, 100) for name in (b"file", b"link")]
    assert (file.found, file.data) == (found(root / "file", b"f"), b"")
    assert (link.found, link.data) == (found(root / "link", b"l"), b"")


async def test_part_of_a_link_is_part_of_its_target(looking: Helper, root: Path) -> None:
    (root / "link").symlink_to("0123456789")
    assert (await looking.connection.read(0, b"link", 3, 4)).data == b"3456"


async def test_folder_has_no_content(looking: Helper, root: Path) -> None:
    (root / "folder").mkdir()
    content = await looking.connection.read(0, b"folder", 0, 10)
    assert (content.found, content.data) == (found(root / "folder", b"d"), b"")


async def test_file_that_shrinks_between_parts_shows(looking: Helper, root: Path) -> None:
    (root / "file").write_bytes(bytes(300_000))
    first = await looking.connection.read(0, b"file", 0, 100_000)
    os.truncate(root / "file", 150_000)
    second = await looking.connection.read(0, b"file", 100_000, 100_000)
    assert (len(first.data), first.found.size) == (100_000, 300_000)
    assert (len(second.data), second.found.size) == (50_000, 150_000)


async def test_file_that_changes_all_the_time_is_read_as_far_as_it_is(looking: Helper, root: Path) -> None:
    (root / "file").write_bytes(bytes(10))
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            os.truncate(root / "file", 200_000)
            os.truncate(root / "file", 10)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(100):
            content = await looking.connection.read(0, b"file", 5, protocol.CHUNK)
            looked = await looking.look(b"file")
            assert 5 <= len(content.data) <= protocol.CHUNK
            assert (looked.kind, looked.size in (10, 200_000)) == (b"f", True)
    finally:
        done.set()
        changing.join()


async def test_requests_of_many_tasks_are_answered_to_whom_they_belong(looking: Helper, root: Path) -> None:
    for number in range(20):
        (root / f"{number}").mkdir()
        (root / f"{number}/{number}").write_text(str(number))

    async def ask(number: int) -> None:
        name = b"%d" % number
        path = name + b"/" + name
        assert set(entries(await looking.connection.list_folder(0, name, watch=True))) == {name}
        assert (await looking.look(path)).digest == sha256(name)
        assert (await looking.connection.read(0, path, 0, 10)).data == name
        assert await looking.connection.commit() == []

    async with asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(ask(number), name=f"ask {number}")


async def test_root_that_was_replaced_is_found_again(looking: Helper, root: Path) -> None:
    (root / "old").touch()
    assert (await looking.look(b"old")).kind == b"f"
    shutil.rmtree(root)
    assert await looking.look(b"") == NOTHING
    root.mkdir()
    (root / "new").touch()
    assert [(await looking.look(name)).kind for name in (b"old", b"new", b"")] == [b"-", b"f", b"d"]
    await looking.connection.write(protocol.folder(protocol.Head(0, b"made", 0o755)))
    assert await looking.connection.commit() == []
    assert (root / "made").is_dir()


async def test_look_without_an_answer_is_refused(helper: Path, root: Path) -> None:
    async with helper_on(helper, [root]) as looking:
        await looking.connection.write(protocol.look(1, [(0, b"")] * (protocol.MAX_CHECKS + 1)))
        with pytest.raises(protocol.ProtocolError, match="broken frame: look"):
            await looking.connection.commit()
