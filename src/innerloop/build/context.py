"""The content of a build context as one hash, quickly.

What counts: paths, the executable bit, file contents, symbolic links' targets, folders. What does not: times, owners
and the other mode bits, which differ between two clones of one commit.

A file whose size, times and inode are as they were is not read again. As in git's index ("racy git"), that holds only
for a file that was old enough when it was read: an edit of the same size within one tick of the file system's clock
would leave no trace, so young files are not remembered.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from innerloop.build.dockerignore import Ignore, Matched
from innerloop.build.records import read_record, write_record
from innerloop.errors import LoopError
from innerloop.paths import LOCK_FILE, PROJECT_STATE

TICK_NS = 2_000_000_000
"""The coarsest clock of a file system in use: FAT's two seconds."""

_CHUNK = 1 << 20


class Known(NamedTuple):
    """A file as it was when it was read."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    digest: bytes


class _Memory(NamedTuple):
    known: dict[bytes, Known]
    kept: dict[bytes, Known]
    trusted_before: int
    """Files that changed later than this are too young to be remembered; nanoseconds since the epoch."""


class Entry(NamedTuple):
    path: str
    """Relative to the context, with ``/``."""
    entry: os.DirEntry[str]


def context_digest(context: Path, ignore: Ignore) -> bytes:
    """The hash of what a builder gets from a context.

    Raises LoopError when a file that counts cannot be read.
    """
    key = f"{context.resolve()}\n{ignore.patterns}"
    known = read_record("contexts", key, dict[bytes, Known]) or {}
    memory = _Memory(known, {}, time.time_ns() - TICK_NS)
    lines = [_line(entry, memory) for entry in entries(context, ignore)]
    if memory.kept != known:
        write_record("contexts", key, memory.kept)
    return hashlib.sha256(b"".join(sorted(lines))).digest()


def entries(context: Path, ignore: Ignore) -> Iterator[Entry]:
    """All that counts in a context, in no particular order.

    Sockets never do, nor the project's state folder, nor its lock, which tells what was built.
    """
    pending: list[tuple[str, Matched | None]] = [("", None)]
    enter, excluded = ignore.enter, ignore.excluded
    while pending:
        folder, parent = pending.pop()
        prefix = f"{folder}/" if folder else ""
        for entry in _listed(f"{context}/{folder}"):
            path = prefix + entry.name
            matched = enter(path, parent)
            left_out = matched is not None and excluded(matched)
            if entry.is_dir(follow_symlinks=False):
                if entry.name != PROJECT_STATE and (not left_out or ignore.may_count_below(path)):
                    pending.append((path, matched))
                else:
                    continue
            if not left_out and entry.name != LOCK_FILE:
                yield Entry(path, entry)


def _listed(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as listing:
            return list(listing)
    except FileNotFoundError:
        return []
    except PermissionError as error:
        raise _unreadable(folder) from error


def _line(found: Entry, memory: _Memory) -> bytes:
    """What an entry adds to the hash; the length of the path comes first, so that no two entries read alike."""
    path = os.fsencode(found.path)
    try:
        status = found.entry.stat(follow_symlinks=False)
        kind, content = _content(found.entry.path, path, status, memory)
    except FileNotFoundError:
        # gone since the folder was listed, as editors' temporary files are
        return b""
    except PermissionError as error:
        raise _unreadable(found.entry.path) from error
    return b"%d %s%s%s\n" % (len(path), path, kind, content) if kind else b""


def _content(file: str, path: bytes, status: os.stat_result, memory: _Memory) -> tuple[bytes, bytes]:
    mode = status.st_mode
    if stat.S_ISREG(mode):
        before = memory.known.get(path)
        now = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        if before is None or before[:4] != now:
            before = Known(*now, _file_digest(file))
        if status.st_ctime_ns < memory.trusted_before:
            memory.kept[path] = before
        return (b"x" if mode & stat.S_IXUSR else b"f"), before.digest
    if stat.S_ISLNK(mode):
        return b"l", os.fsencode(os.readlink(file))
    if stat.S_ISSOCK(mode):
        return b"", b""
    return (b"d" if stat.S_ISDIR(mode) else b"s"), b""


def _file_digest(file: str) -> bytes:
    with open(file, "rb", buffering=0) as content:
        found = hashlib.sha256()
        while chunk := content.read(_CHUNK):
            found.update(chunk)
    return found.digest()


def _unreadable(path: str) -> LoopError:
    return LoopError(
        f"cannot read {path}, which is part of a build context: permission denied",
        hint="make it readable, or leave it out by a line in .dockerignore",
    )
