"""Frames between the sync sender and ``loop-helper sync`` in a container, as functions over bytes.

``docs/sync-protocol.md`` describes them; ``native/helper/receive.c`` is the other side. Every frame is
``u32 size of the payload, u8 type, payload``, little endian. Paths are bytes, because that is what file systems have.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from innerloop.errors import LoopError

VERSION = 2
MAGIC = b"loopsync"
MAX_PAYLOAD = 256 * 1024
MAX_PATH = 4095
"""Linux' PATH_MAX without the ending zero."""
MAX_CHECKS = 4096
CHUNK = 120 * 1024
"""Bytes of a file in one frame: with its header it still fits one message of an exec stream."""

_HEADER = struct.Struct("<IB")
_OPERATION = struct.Struct("<BBHH")
_CHECK = struct.Struct("<cQ")
_FOUND = struct.Struct("<cHQq")
_READ = struct.Struct("<IcHQq")
_EXACT_MODE = 1
_GUARDED = 2
_WATCH = 1


class _Type(enum.IntEnum):
    HELLO = 0x01
    CHECK = 0x02
    FILE_BEGIN = 0x03
    FILE_DATA = 0x04
    FILE_END = 0x05
    FILE_ABORT = 0x06
    FOLDER = 0x07
    LINK = 0x08
    DELETE = 0x09
    RENAME = 0x0A
    MODE = 0x0B
    COMMIT = 0x0C
    RESTART = 0x0D
    LOOK = 0x0E
    LIST = 0x0F
    READ = 0x10
    SIGNAL = 0x11

    WELCOME = 0x81
    CHECKED = 0x82
    LOOKED = 0x83
    LISTED = 0x84
    CONTENT = 0x85
    FAILED = 0x8B
    COMMITTED = 0x8C
    RESTARTED = 0x8D
    STATE = 0x8E
    CHANGED = 0x8F
    ALIVE = 0x90
    SIGNALLED = 0x91
    FATAL = 0xFF


class Difference(enum.IntEnum):
    """What a check found."""

    SAME = 0
    MISSING = 1
    CONTENT = 2
    KIND = 3
    MODE = 4


class Reason(enum.IntEnum):
    """Why an operation failed."""

    OTHER = 0
    PERMISSION = 1
    READ_ONLY = 2
    NO_SPACE = 3
    NOT_EMPTY = 4
    OUTSIDE = 5
    LINK_IN_PATH = 6
    CHANGED = 7
    NOT_FOUND = 8
    NO_WATCHES = 9


class Listing(enum.IntEnum):
    """What a ``Listed`` frame is."""

    END = 0
    MORE = 1
    """The same folder goes on in the next frame of this id."""
    FAILED = 2


class Change(enum.IntEnum):
    """What a watched folder tells."""

    NAME = 0
    """Something under this name was made, written, changed or removed."""
    GONE = 1
    """The folder itself; it is not watched any more."""
    LOST = 2
    """Anything anywhere: the system lost events."""


class SignalResult(enum.IntEnum):
    SENT = 0
    NO_PROCESS = 1
    NO_SUPERVISOR = 2


class RestartResult(enum.IntEnum):
    STARTED = 0
    NOT_STARTED = 1
    NO_SUPERVISOR = 2


class ProcessCode(enum.IntEnum):
    RUNNING = 1
    EXITED = 2
    RESTARTING = 3


class Head(NamedTuple):
    """What every operation on a path begins with."""

    root: int
    """Index of the folder on the helper's command line."""
    path: bytes
    """Relative to the root, ``/`` between names; empty for the root itself."""
    mode: int = 0
    exact: bool = False
    """Set this very mode. Else a file that exists keeps its own and only gains the executable bits of ``mode``."""
    guard: Guard | None = None
    """What the path must be right before the operation, which else fails with CHANGED."""


class Guard(NamedTuple):
    """What a path is, without its mode."""

    kind: bytes
    """``f`` file, ``d`` folder, ``l`` symbolic link, ``-`` nothing."""
    digest: bytes
    """As in ``Expected``; zeros where there is no content."""


class Expected(NamedTuple):
    """What a path should be, for the comparison."""

    head: Head
    kind: bytes
    """``f`` file, ``d`` folder, ``l`` symbolic link."""
    size: int
    digest: bytes
    """SHA-256 of the content, or of a link's target; zeros for a folder."""


class Welcome(NamedTuple):
    version: int
    supervised: bool
    """The helper is also what runs the container's process, so it can restart it."""
    uid: int
    gid: int
    clock: int
    """The container's time, in nanoseconds since the epoch."""


class Checked(NamedTuple):
    id: int
    results: bytes
    """One Difference per path, in the order asked."""


class Found(NamedTuple):
    """What is at a path."""

    kind: bytes
    """``f`` file, ``d`` folder, ``l`` symbolic link, ``o`` other (socket, device), ``-`` nothing, ``!`` unreadable."""
    mode: int
    size: int
    mtime: int
    """Nanoseconds since the epoch."""
    digest: bytes = bytes(32)
    """SHA-256 of the content, or of a link's target; zeros where it was not asked for, and of everything else."""


class Looked(NamedTuple):
    id: int
    found: tuple[Found, ...]
    """With digests, in the order asked."""


class Listed(NamedTuple):
    """A folder's entries, or some of them."""

    id: int
    listing: Listing
    entries: tuple[tuple[bytes, Found], ...]
    """Name and what it is, without digests."""
    reason: Reason = Reason.OTHER
    text: str = ""
    """Why the folder cannot be listed, or not be watched."""


class Content(NamedTuple):
    """A part of a file, or a link's target."""

    id: int
    found: Found
    """Of the whole, without digest, as it was when this part was read."""
    data: bytes


class Changed(NamedTuple):
    """Tells of a watched folder, by itself."""

    root: int
    change: Change
    folder: bytes
    """Relative to the root; empty for the root itself."""
    name: bytes
    """In the folder; empty where ``change`` is not NAME."""


class Signalled(NamedTuple):
    id: int
    result: SignalResult


class Alive(NamedTuple):
    """Comes every 2 s while the helper works, or owes an answer."""


class Failed(NamedTuple):
    """An operation that could not be done; belongs to the commit that follows."""

    root: int
    reason: Reason
    path: bytes
    text: str
    """The system's words."""
    folder: str
    """Owner and mode of the folder, in words."""


class Committed(NamedTuple):
    id: int


class Restarted(NamedTuple):
    id: int
    result: RestartResult
    text: str


class State(NamedTuple):
    """The developed process; sent after the welcome and at each change."""

    process: ProcessCode
    pid: int
    code: int
    """Exit status of its last end; minus the signal's number when a signal ended it."""


class Fatal(NamedTuple):
    """The helper gives up; nothing follows."""

    text: str


Reply = (
    Welcome
    | Checked
    | Looked
    | Listed
    | Content
    | Failed
    | Committed
    | Restarted
    | State
    | Changed
    | Signalled
    | Alive
    | Fatal
)


class ProtocolError(LoopError):
    """The other side does not speak this protocol."""


def hello() -> bytes:
    return _frame(_Type.HELLO, MAGIC, struct.pack("<H", VERSION))


def check(id: int, expected: Iterable[Expected]) -> bytes:
    """Asks for one Difference per path; at most MAX_CHECKS of them and MAX_PAYLOAD bytes."""
    parts = [struct.pack("<I", id)]
    for head, kind, size, digest in expected:
        parts += (_head(head), _CHECK.pack(kind, size), digest)
    return _frame(_Type.CHECK, *parts)


def check_size(expected: Expected) -> int:
    """Bytes that one path takes in a check frame."""
    return _OPERATION.size + len(expected.head.path) + _CHECK.size + 32


def file(head: Head, content: bytes, digest: bytes) -> bytes:
    """All frames of a file that fits one chunk."""
    begin = _head(head)
    return b"".join(
        (
            _HEADER.pack(len(begin), _Type.FILE_BEGIN),
            begin,
            _HEADER.pack(len(content), _Type.FILE_DATA),
            content,
            _HEADER.pack(len(digest), _Type.FILE_END),
            digest,
        )
    )


def file_begin(head: Head) -> bytes:
    return _frame(_Type.FILE_BEGIN, _head(head))


def file_data(content: bytes) -> bytes:
    return _frame(_Type.FILE_DATA, content)


def file_end(digest: bytes) -> bytes:
    """The file is complete: from here on it is visible under its name."""
    return _frame(_Type.FILE_END, digest)


def file_abort() -> bytes:
    """The file cannot be completed; nothing of it stays."""
    return _frame(_Type.FILE_ABORT)


def folder(head: Head) -> bytes:
    return _frame(_Type.FOLDER, _head(head))


def link(head: Head, target: bytes) -> bytes:
    return _frame(_Type.LINK, _head(head), _text(target))


def delete(head: Head) -> bytes:
    return _frame(_Type.DELETE, _head(head))


def rename(head: Head, source: bytes, digest: bytes) -> bytes:
    """Rename ``source`` to the head's path if its content still has ``digest``; else fails with CHANGED."""
    return _frame(_Type.RENAME, _head(head), _text(source), digest)


def mode(head: Head) -> bytes:
    return _frame(_Type.MODE, _head(head))


def commit(id: int) -> bytes:
    return _frame(_Type.COMMIT, struct.pack("<I", id))


def restart(id: int) -> bytes:
    return _frame(_Type.RESTART, struct.pack("<I", id))


def look(id: int, paths: Iterable[tuple[int, bytes]]) -> bytes:
    """Asks what is at paths (root, path), with digests; at most MAX_CHECKS of them and MAX_PAYLOAD bytes."""
    return _frame(_Type.LOOK, struct.pack("<I", id), *(_head(Head(root, path)) for root, path in paths))


def list_folder(id: int, root: int, path: bytes, *, watch: bool) -> bytes:
    """Asks for a folder's entries; ``watch``: also to be told of changes in it, from before the look on."""
    return _frame(_Type.LIST, struct.pack("<IB", id, _WATCH if watch else 0), _head(Head(root, path)))


def look_size(path: tuple[int, bytes]) -> int:
    """Bytes that one path takes in a look frame."""
    return _OPERATION.size + len(path[1])


def read(id: int, root: int, path: bytes, offset: int, size: int) -> bytes:
    """Asks for a part of a file, at most CHUNK bytes, or for a link's target."""
    return _frame(_Type.READ, struct.pack("<I", id), _head(Head(root, path)), struct.pack("<QI", offset, size))


def signal(id: int, number: int) -> bytes:
    """Asks for a signal to the process and its group."""
    return _frame(_Type.SIGNAL, struct.pack("<IB", id, number))


def parse(data: bytes) -> tuple[list[Reply], bytes]:
    """The complete replies at the start of ``data``, and what is left over.

    Raises ProtocolError for bytes that no helper of this version sends.
    """
    replies = []
    at = 0
    while len(data) - at >= _HEADER.size:
        size, type = _HEADER.unpack_from(data, at)
        if size > MAX_PAYLOAD:
            raise ProtocolError("the helper in the container does not speak the sync protocol")
        if len(data) - at < _HEADER.size + size:
            break
        start = at + _HEADER.size
        replies.append(_reply(type, data[start : start + size]))
        at = start + size
    return replies, data[at:]


def _frame(type: _Type, *parts: bytes) -> bytes:
    payload = b"".join(parts)
    return _HEADER.pack(len(payload), type) + payload


def _head(head: Head) -> bytes:
    flags = (_EXACT_MODE if head.exact else 0) | (_GUARDED if head.guard else 0)
    guard = head.guard.kind + head.guard.digest if head.guard else b""
    return _OPERATION.pack(head.root, flags, head.mode, len(head.path)) + head.path + guard


def _text(text: bytes) -> bytes:
    return struct.pack("<H", len(text)) + text


def _reply(type: int, payload: bytes) -> Reply:
    try:
        match type:
            case _Type.WELCOME:
                # another version's may be longer or shorter: its number has to be told all the same
                version, supervised, uid, gid, clock = struct.unpack("<HBIIq", payload[:19].ljust(19, b"\0"))
                return Welcome(version, bool(supervised), uid, gid, clock)
            case _Type.CHECKED:
                return Checked(struct.unpack_from("<I", payload)[0], payload[4:])
            case _Type.LOOKED:
                return Looked(struct.unpack_from("<I", payload)[0], tuple(_founds(payload[4:])))
            case _Type.LISTED:
                return _listed(payload)
            case _Type.CONTENT:
                id, *found = _READ.unpack_from(payload)
                return Content(id, Found(*found), payload[_READ.size :])
            case _Type.CHANGED:
                folder, name = _texts(payload[2:], 2)
                return Changed(payload[0], Change(payload[1]), folder, name)
            case _Type.ALIVE:
                return Alive()
            case _Type.SIGNALLED:
                id, result = struct.unpack("<IB", payload)
                return Signalled(id, SignalResult(result))
            case _Type.FAILED:
                path, text, where = _texts(payload[2:], 3)
                return Failed(payload[0], Reason(payload[1]), path, _words(text), _words(where))
            case _Type.COMMITTED:
                return Committed(*struct.unpack("<I", payload))
            case _Type.RESTARTED:
                id, result = struct.unpack_from("<IB", payload)
                return Restarted(id, RestartResult(result), _words(_texts(payload[5:], 1)[0]))
            case _Type.STATE:
                process, pid, code = struct.unpack("<BIi", payload)
                return State(ProcessCode(process), pid, code)
            case _Type.FATAL:
                return Fatal(_words(_texts(payload, 1)[0]))
    except (struct.error, ValueError, IndexError) as error:
        raise ProtocolError(f"broken frame of type {type} from the helper in the container") from error
    raise ProtocolError(f"unknown frame of type {type} from the helper in the container")


def _founds(payload: bytes) -> Iterator[Found]:
    for kind, mode, size, mtime, digest in struct.iter_unpack("<cHQq32s", payload):
        yield Found(kind, mode, size, mtime, digest)


def _listed(payload: bytes) -> Listed:
    id, listing = struct.unpack_from("<IB", payload)
    if listing == Listing.FAILED:
        return Listed(id, Listing.FAILED, (), Reason(payload[5]), _words(_texts(payload[6:], 1)[0]))
    entries = []
    at = 5
    while at < len(payload):
        found = Found(*_FOUND.unpack_from(payload, at))
        (size,) = struct.unpack_from("<H", payload, at + _FOUND.size)
        start = at + _FOUND.size + 2
        at = start + size
        if at > len(payload):
            raise ValueError("text of another size than said")
        entries.append((payload[start:at], found))
    return Listed(id, Listing(listing), tuple(entries))


def _texts(payload: bytes, count: int) -> list[bytes]:
    texts = []
    at = 0
    for _ in range(count):
        (size,) = struct.unpack_from("<H", payload, at)
        texts.append(payload[at + 2 : at + 2 + size])
        at += 2 + size
    if at != len(payload):
        raise ValueError("text of another size than said")
    return texts


def _words(text: bytes) -> str:
    return text.decode(errors="replace")
