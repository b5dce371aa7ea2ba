"""Sending a batch: reads the files and writes the frames."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import time
from collections.abc import Awaitable, Callable, Iterable, Sized
from typing import NamedTuple

from innerloop.dev import sync_protocol as protocol
from innerloop.dev.local_tree import FILE, LINK, Entry, Key, LocalTree
from innerloop.dev.sync_batch import Batch, make_head

Write = Callable[[bytes], Awaitable[None]]

_READ_TOGETHER = 64
_FEW = 8
"""So many files are read in the event loop, since a thread takes longer to wake up."""
PROGRESS_SECONDS = 0.5
"""A batch that takes longer tells its progress."""
PROGRESS_EVERY = 0.2


class _Content(NamedTuple):
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


async def send_batch(batch: Batch, tree: LocalTree, write: Write, tell: Tell) -> dict[Key, Entry | None]:
    """Write a batch's operations; returns what the container has when all of them succeed, None for what is gone.

    A file that vanished or changes while it is read is left out: that is a change of its own. ``tell`` gets the
    progress now and then, when it takes longer than half a second.
    """
    sent: dict[Key, Entry | None] = {}
    output = _Output(batch, sent, write, tell)
    for key in batch.making_place:
        await output.add(protocol.delete(make_head(key, None, tree)))
        sent[key] = None
    for key in batch.folders:
        await output.add(protocol.folder(make_head(key, batch.wanted[key], tree)))
        sent[key] = batch.wanted[key]
    for old, new in batch.renames:
        entry = batch.wanted[new]
        await output.add(protocol.rename(make_head(new, entry, tree), old.path, entry.digest))
        sent[old], sent[new] = None, entry
    await _send_contents(batch, tree, output, sent)
    for key in batch.modes:
        await output.add(protocol.mode(make_head(key, batch.wanted[key], tree)))
        sent[key] = batch.wanted[key]
    for key in batch.deletions:
        await output.add(protocol.delete(make_head(key, None, tree)))
        sent[key] = None
    return sent


class _Output:
    """Where operations go; tells of the progress of a long batch."""

    def __init__(self, batch: Batch, sent: Sized, write: Write, tell: Tell) -> None:
        self._batch = batch
        self._sent = sent
        self._write = write
        self._tell = tell
        self._content = 0
        self._next = time.monotonic() + PROGRESS_SECONDS

    async def add(self, frame: bytes, content: int = 0) -> None:
        """``content``: bytes of files in the frame."""
        self._content += content
        await self._write(frame)
        if (now := time.monotonic()) >= self._next:
            self._next = now + PROGRESS_EVERY
            self._tell_progress()

    def _tell_progress(self) -> None:
        batch = self._batch
        total = sum(batch.wanted[key].size for key in batch.contents)
        # a file may grow meanwhile
        self._tell(Progress(len(self._sent), len(batch.keys()), min(self._content, total), total))


async def _send_contents(batch: Batch, tree: LocalTree, output: _Output, sent: dict[Key, Entry | None]) -> None:
    for start in range(0, len(batch.contents), _READ_TOGETHER):
        keys = batch.contents[start : start + _READ_TOGETHER]
        few = len(batch.contents) <= _FEW
        contents = _read(batch, tree, keys) if few else await asyncio.to_thread(_read, batch, tree, keys)
        for content in contents:
            entry = await _send_content(content, tree, output)
            if entry:
                # the tree's own object where it is equal: containers of many files would take twice the memory
                wanted = batch.wanted[content.key]
                sent[content.key] = wanted if entry == wanted else entry


def _read(batch: Batch, tree: LocalTree, keys: Iterable[Key]) -> list[_Content]:
    contents = []
    for key in keys:
        try:
            is_link = batch.wanted[key].kind == LINK
            contents.append(_read_link(tree, key) if is_link else _read_file(tree, key))
        except OSError:
            continue  # gone, or told as unreadable when the tree looked at it
    return contents


def _read_link(tree: LocalTree, key: Key) -> _Content:
    data = os.fsencode(os.readlink(tree.place(key)))
    return _Content(key, Entry(LINK, 0, len(data), hashlib.sha256(data).digest()), data, True)


def _read_file(tree: LocalTree, key: Key) -> _Content:
    """The beginning of a large file, all of a small one."""
    place = tree.place(key)
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(f"{place} is no file any more")
        data = os.read(descriptor, protocol.CHUNK + 1)
    finally:
        os.close(descriptor)
    entry = Entry(FILE, mode & 0o777, len(data), hashlib.sha256(data).digest())
    return _Content(key, entry, data, len(data) <= protocol.CHUNK)


async def _send_content(content: _Content, tree: LocalTree, output: _Output) -> Entry | None:
    head = make_head(content.key, content.entry, tree)
    if not content.complete:
        return await _send_large(content.key, head, tree, output)
    if content.entry.kind == LINK:
        await output.add(protocol.link(head, content.data), len(content.data))
    else:
        await output.add(protocol.file(head, content.data, content.entry.digest), len(content.data))
    return content.entry


async def _send_large(key: Key, head: protocol.Head, tree: LocalTree, output: _Output) -> Entry | None:
    """A file in chunks; abandoned when it changes meanwhile."""
    digest = hashlib.sha256()
    size = 0
    try:
        with await asyncio.to_thread(tree.place(key).open, "rb", 0) as file:
            before = _version(file.fileno())
            await output.add(protocol.file_begin(head))
            while chunk := await asyncio.to_thread(file.read, protocol.CHUNK):
                digest.update(chunk)
                size += len(chunk)
                await output.add(protocol.file_data(chunk), len(chunk))
            changed = _version(file.fileno()) != before
    except OSError:
        changed = True
    if changed:
        await output.add(protocol.file_abort())
        return None
    await output.add(protocol.file_end(digest.digest()))
    return Entry(FILE, head.mode, size, digest.digest())


def _version(descriptor: int) -> tuple[int, int, int]:
    status = os.fstat(descriptor)
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
