"""Sending a batch: reads the files and writes the frames."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from innerloop.dev.sync import protocol
from innerloop.dev.sync.batch import Batch, make_head
from innerloop.dev.sync.local_tree import FILE, LINK, Content, Entry, Key, LocalTree
from innerloop.dev.sync.writers import is_finished, version

Write = Callable[[bytes], Awaitable[None]]

_READ_TOGETHER = 64
_FEW = 8
"""So many files are read in the event loop, since a thread takes longer to wake up."""
PROGRESS_SECONDS = 0.5
"""A batch that takes longer tells its progress."""
PROGRESS_EVERY = 0.2


class Source(NamedTuple):
    """Where the contents of a batch come from."""

    tree: LocalTree
    contents: Mapping[Key, Content] = {}
    """What was read of some files already: those that it is wanted of are not read again."""
    impatient: Collection[Key] = ()
    """Files that are sent as they are while they are being written; others are left out then."""


class Sent(NamedTuple):
    done: dict[Key, Entry | None]
    """What the container has when all operations succeed, None for what is gone."""
    unfinished: set[Key]
    """Files that were left out because they are just being written."""


class _Read(NamedTuple):
    key: Key
    entry: Entry
    data: bytes
    """A file's content or a link's target."""
    complete: bool
    """False: too large to be read at once."""


class Progress(NamedTuple):
    """How much of a batch was sent."""

    files: int
    """Operations on paths."""
    all_files: int
    bytes: int
    all_bytes: int


Tell = Callable[[Progress], None]


class _Unfinished(Exception):
    """A file has a writer, or changed while it was read."""


async def send_batch(batch: Batch, source: Source, write: Write, tell: Tell) -> Sent:
    """Write a batch's operations.

    A file that vanished is left out: that is a change of its own. ``tell`` gets the progress now and then, when it
    takes longer than half a second.
    """
    tree = source.tree
    sent = Sent({}, set())
    output = _Output(batch, sent, write, tell)
    for key in batch.making_place:
        await output.add(protocol.delete(make_head(key, None, tree, batch)))
        sent.done[key] = None
    for key in batch.folders:
        await output.add(protocol.folder(make_head(key, batch.wanted[key], tree, batch)))
        sent.done[key] = batch.wanted[key]
    for old, new in batch.renames:
        entry = batch.wanted[new]
        await output.add(protocol.rename(make_head(new, entry, tree, batch), old.path, entry.digest))
        sent.done[old], sent.done[new] = None, entry
    await _send_contents(batch, source, output, sent)
    for key in batch.modes:
        await output.add(protocol.mode(make_head(key, batch.wanted[key], tree, batch)))
        sent.done[key] = batch.wanted[key]
    for key in batch.deletions:
        await output.add(protocol.delete(make_head(key, None, tree, batch)))
        sent.done[key] = None
    return sent


class _Output:
    """Where operations go; tells of the progress of a long batch."""

    def __init__(self, batch: Batch, sent: Sent, write: Write, tell: Tell) -> None:
        self._sent = sent
        self._write = write
        self._tell = tell
        self._all_files = len(batch.keys())
        self._all_content = sum(batch.wanted[key].size for key in batch.contents)
        self._content = 0
        self._next = time.monotonic() + PROGRESS_SECONDS

    async def add(self, frame: bytes, content: int = 0) -> None:
        """``content``: bytes of files in the frame."""
        self._content += content
        await self._write(frame)
        if (now := time.monotonic()) >= self._next:
            self._next = now + PROGRESS_EVERY
            # a file may grow meanwhile
            content = min(self._content, self._all_content)
            self._tell(Progress(len(self._sent.done), self._all_files, content, self._all_content))


async def _send_contents(batch: Batch, source: Source, output: _Output, sent: Sent) -> None:
    few = sum(key not in source.contents for key in batch.contents) <= _FEW
    for start in range(0, len(batch.contents), _READ_TOGETHER):
        part = batch, source, batch.contents[start : start + _READ_TOGETHER], sent
        for content in _read(*part) if few else await asyncio.to_thread(_read, *part):
            key = content.key
            try:
                head = make_head(key, content.entry, source.tree, batch)
                entry = await _send_content(content, head, source.tree, output, patient=key not in source.impatient)
            except _Unfinished:
                sent.unfinished.add(key)
            except OSError:
                continue  # as for small ones, when a large one is opened or in its middle
            else:
                # the tree's own object where it is equal: containers of many files would take twice the memory
                wanted = batch.wanted[key]
                sent.done[key] = wanted if entry == wanted else entry


def _read(batch: Batch, source: Source, keys: Iterable[Key], sent: Sent) -> list[_Read]:
    contents = []
    for key in keys:
        wanted, known = batch.wanted[key], source.contents.get(key)
        try:
            if known and known.digest == wanted.digest:
                contents.append(_Read(key, wanted, known.data, True))
            elif wanted.kind == LINK:
                contents.append(_read_link(source.tree, key))
            else:
                contents.append(_read_file(source.tree, key, key not in source.impatient))
        except _Unfinished:
            sent.unfinished.add(key)
        except OSError:
            continue  # gone, or told as unreadable when the tree looked at it
    return contents


def _read_link(tree: LocalTree, key: Key) -> _Read:
    data = os.fsencode(os.readlink(tree.path(key)))
    return _Read(key, Entry(LINK, 0, len(data), hashlib.sha256(data).digest()), data, True)


def _read_file(tree: LocalTree, key: Key, patient: bool) -> _Read:
    """The beginning of a large file, all of a small one."""
    place = tree.path(key)
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(f"{place} is no file any more")
        before = version(descriptor)
        data = os.read(descriptor, protocol.CHUNK + 1)
        if patient and not is_finished(descriptor, before):
            raise _Unfinished
    finally:
        os.close(descriptor)
    entry = Entry(FILE, mode & 0o777, len(data), hashlib.sha256(data).digest())
    return _Read(key, entry, data, len(data) <= protocol.CHUNK)


async def _send_content(
    content: _Read, head: protocol.Head, tree: LocalTree, output: _Output, *, patient: bool
) -> Entry:
    """Returns what the container gets. Raises _Unfinished and OSError, with nothing left to be ended there."""
    if not content.complete:
        return await _send_large(content.key, head, tree, output, patient=patient)
    if content.entry.kind == LINK:
        await output.add(protocol.link(head, content.data), len(content.data))
    else:
        await output.add(protocol.file(head, content.data, content.entry.digest), len(content.data))
    return content.entry


async def _send_large(key: Key, head: protocol.Head, tree: LocalTree, output: _Output, *, patient: bool) -> Entry:
    """A file in chunks; abandoned when it changes meanwhile, and of an impatient one no more than it has now."""
    digest = hashlib.sha256()
    size = 0
    try:
        # not in a thread: who is cancelled meanwhile could not close it
        with open(tree.path(key), "rb", 0, opener=_open) as file:  # noqa: ASYNC230 # opening alone waits for nothing
            before = version(file.fileno())
            left = before[0]
            await output.add(protocol.file_begin(head))
            while chunk := await asyncio.to_thread(file.read, min(left, protocol.CHUNK)):
                digest.update(chunk)
                size += len(chunk)
                left -= len(chunk)
                await output.add(protocol.file_data(chunk), len(chunk))
            if patient and not is_finished(file.fileno(), before):
                raise _Unfinished
    except (OSError, _Unfinished):
        await output.add(protocol.file_abort())
        raise
    await output.add(protocol.file_end(digest.digest()))
    return Entry(FILE, head.mode, size, digest.digest())


def _open(path: str, flags: int) -> int:
    # what was a file may be a FIFO by now, which would be waited for
    return os.open(path, flags | os.O_NONBLOCK)
