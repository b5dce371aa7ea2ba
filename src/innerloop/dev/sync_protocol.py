"""Frames between the sync sender and ``loop-helper sync`` in a container, as functions over bytes.

``docs/sync-protocol.md`` describes them; ``native/helper/receive.c`` is the other side. Every frame is
``u32 size of the payload, u8 type, payload``, little endian. Paths are bytes, because that is what file systems have.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable
from typing import NamedTuple

from innerloop.errors import LoopError

VERSION = 1
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
_EXACT_MODE = 1


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

    WELCOME = 0x81
    CHECKED = 0x82
    FAILED = 0x8B
    COMMITTED = 0x8C
    RESTARTED = 0x8D
    STATE = 0x8E
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


class Checked(NamedTuple):
    id: int
    results: bytes
    """One Difference per path, in the order asked."""


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


Reply = Welcome | Checked | Failed | Committed | Restarted | State | Fatal


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
    return file_begin(head) + file_data(content) + file_end(digest)


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
    flags = _EXACT_MODE if head.exact else 0
    return _OPERATION.pack(head.root, flags, head.mode, len(head.path)) + head.path


def _text(text: bytes) -> bytes:
    return struct.pack("<H", len(text)) + text


def _reply(type: int, payload: bytes) -> Reply:
    try:
        match type:
            case _Type.WELCOME:
                version, supervised, uid, gid = struct.unpack("<HBII", payload)
                return Welcome(version, bool(supervised), uid, gid)
            case _Type.CHECKED:
                return Checked(struct.unpack_from("<I", payload)[0], payload[4:])
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
