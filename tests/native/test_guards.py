"""Operations that the helper does only when the path is what the sender believes."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from innerloop.dev.sync import protocol
from innerloop.dev.sync.protocol import Guard, Head, Reason
from tests.native.receiver import Receiver, sha256

Start = Callable[..., Awaitable[Receiver]]
Operation = Callable[[Head], bytes]

NOTHING = Guard(b"-", bytes(32))
FILE = Guard(b"f", sha256(b"theirs"))

OPERATIONS: dict[str, Operation] = {
    "file": lambda head: protocol.file(head, b"ours", sha256(b"ours")),
    "link": lambda head: protocol.link(head, b"ours"),
    "rename": lambda head: protocol.rename(head, b"source", sha256(b"source")),
    "delete": protocol.delete,
    "folder": protocol.folder,
}
THERE = {
    "nothing": NOTHING,
    "file": FILE,
    "link": Guard(b"l", sha256(b"target")),
    "folder": Guard(b"d", bytes(32)),
}
GUARDS = {
    **THERE,
    "another file": Guard(b"f", sha256(b"another")),
    "another link": Guard(b"l", sha256(b"elsewhere")),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "source").write_bytes(b"source")
    return folder


def make(path: Path, what: str) -> None:
    match what:
        case "file":
            path.write_bytes(b"theirs")
        case "link":
            path.symlink_to("target")
        case "folder":
            path.mkdir()


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder, with inode and time of the last change of any kind."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_ino, path.lstat().st_ctime_ns) for path in folder.rglob("*")
    }


def made(operation: str) -> str | bytes | None:
    return {"file": b"ours", "link": "ours", "rename": b"source", "folder": "a folder", "delete": None}[operation]


def content(path: Path) -> str | bytes | None:
    if path.is_symlink():
        return os.readlink(path)
    if path.is_dir():
        return "a folder"
    return path.read_bytes() if path.exists() else None


@pytest.mark.parametrize("there", THERE)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_it_is_done_when_the_path_is_as_told(receiver: Start, root: Path, operation: str, there: str) -> None:
    make(root / "path", there)
    started = await receiver()
    assert await started.commit(OPERATIONS[operation](Head(0, b"path", 0o755, guard=THERE[there]))) == []
    assert content(root / "path") == made(operation)


@pytest.mark.parametrize(
    ("there", "guard"), [(there, guard) for there in THERE for guard in GUARDS if GUARDS[guard] != THERE[there]]
)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_nothing_is_touched_when_the_path_is_another(
    receiver: Start, root: Path, operation: str, there: str, guard: str
) -> None:
    make(root / "path", there)
    before = listing(root)
    started = await receiver()
    (failed,) = await started.commit(OPERATIONS[operation](Head(0, b"path", 0o755, guard=GUARDS[guard])))
    assert (failed.path, failed.reason) == (b"path", Reason.CHANGED)
    assert listing(root) == before


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_folders_are_not_made_for_what_should_be_in_them(receiver: Start, root: Path, operation: str) -> None:
    before = listing(root)
    started = await receiver()
    (failed,) = await started.commit(OPERATIONS[operation](Head(0, b"gone/path", 0o755, guard=FILE)))
    assert failed.reason == Reason.CHANGED
    assert listing(root) == before


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_folders_are_made_for_what_is_new(receiver: Start, root: Path, operation: str) -> None:
    started = await receiver()
    assert await started.commit(OPERATIONS[operation](Head(0, b"new/path", 0o755, guard=NOTHING))) == []
    assert content(root / "new/path") == made(operation)


async def test_file_is_guarded_until_it_is_complete(receiver: Start, root: Path) -> None:
    (root / "path").write_bytes(b"theirs")
    started = await receiver()
    head = Head(0, b"path", 0o644, guard=FILE)
    assert await started.commit(protocol.file_begin(head), protocol.file_data(b"ours")) == []
    (root / "path").write_bytes(b"theirs, changed meanwhile")
    (failed,) = await started.commit(protocol.file_end(sha256(b"ours")))
    assert failed.reason == Reason.CHANGED
    assert (root / "path").read_bytes() == b"theirs, changed meanwhile"
    assert sorted(path.name for path in root.iterdir()) == ["path", "source"]


async def test_mode_is_guarded(receiver: Start, root: Path) -> None:
    started = await receiver()
    (failed,) = await started.commit(protocol.mode(Head(0, b"source", 0o600, exact=True, guard=FILE)))
    right = Guard(b"f", sha256(b"source"))
    assert await started.commit(protocol.mode(Head(0, b"source", 0o640, exact=True, guard=right))) == []
    assert failed.reason == Reason.CHANGED
    assert (root / "source").stat().st_mode & 0o777 == 0o640


async def test_guard_does_not_follow_links(receiver: Start, root: Path) -> None:
    (root / "path").symlink_to("source")
    started = await receiver()
    (failed,) = await started.commit(protocol.delete(Head(0, b"path", guard=Guard(b"f", sha256(b"source")))))
    assert failed.reason == Reason.CHANGED
    assert (root / "path").is_symlink()


async def test_pipe_is_not_what_a_guard_of_a_file_says(receiver: Start, root: Path) -> None:
    os.mkfifo(root / "path")
    started = await receiver()
    (failed,) = await started.commit(protocol.delete(Head(0, b"path", guard=FILE)))
    assert failed.reason == Reason.CHANGED


async def test_rename_of_another_source_leaves_what_the_guard_allows_to_replace(receiver: Start, root: Path) -> None:
    (root / "path").write_bytes(b"theirs")
    started = await receiver()
    (failed,) = await started.commit(protocol.rename(Head(0, b"path", guard=FILE), b"source", sha256(b"other")))
    assert failed.reason == Reason.CHANGED
    assert (root / "path").read_bytes() == b"theirs"
