"""Carrying out on this machine what the merge decided: downloads, deletions and what is kept beside."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from innerloop.dev.sync import local_writing, protocol
from innerloop.dev.sync.connection import Connection
from innerloop.dev.sync.local_tree import FILE, FOLDER, NO_DIGEST, Entry, Key, LocalTree
from innerloop.dev.sync.local_writing import Different, InTheWay, Partial, Place, Version
from innerloop.dev.sync.merging import Decision
from innerloop.dev.sync.reading import read_entry

FILES_UNDER_WAY = 16
_PARTS_UNDER_WAY = 8


class Step(NamedTuple):
    """One path to be changed here."""

    key: Key
    decision: Decision
    """DOWNLOAD, DELETE_HERE, CONFLICT or MODE."""
    local: Entry | None
    """What the merge saw; anything else that is there now is left alone."""
    remote: Entry | None
    """The digest may be missing of what only the container has."""
    kept: Path | None = None
    """Where to keep what is here now."""


class Outcome(NamedTuple):
    """What became of a step."""

    step: Step
    entry: Entry | None = None
    """What the container has; unless ``stays``, now also what is here."""
    stays: bool = False
    """What is here stays as it is, and is sent where that is wanted."""
    copy: Path | None = None
    """Where the container's version was kept, of what stays."""
    again: bool = False
    """Something changed meanwhile: the path has to be merged anew."""
    error: OSError | None = None


Finish = Callable[[Outcome], None]
"""Takes note of an outcome at the very moment when it is so."""


class Downloads:
    """What one round changes here."""

    def __init__(
        self, connection: Connection, tree: LocalTree, free: asyncio.Semaphore, stamp: str, finish: Finish
    ) -> None:
        """``free`` are the places of files that may be under way together; ``stamp`` names what is kept beside."""
        self._connection = connection
        self._tree = tree
        self._stamp = stamp
        self._finish = finish
        self._free = free

    async def carry_out(self, steps: Iterable[Step]) -> None:
        """Deletions first, from the deepest up; then folders, so that there is a place for what is in them."""
        ordered = sorted(steps)
        for step in reversed(ordered):
            if step.decision == Decision.DELETE_HERE:
                await self._attempt(step)
        rest = [step for step in ordered if step.decision != Decision.DELETE_HERE]
        for step in rest:
            if step.remote and step.remote.kind == FOLDER:
                await self._attempt(step)
        async with asyncio.TaskGroup() as tasks:
            for step in rest:
                if step.remote and step.remote.kind != FOLDER:
                    await self._free.acquire()
                    task = tasks.create_task(self._attempt(step), name="download")
                    task.add_done_callback(lambda _: self._free.release())

    async def _attempt(self, step: Step) -> None:
        try:
            if step.decision == Decision.DELETE_HERE:
                await self._delete(step)
            elif step.decision == Decision.CONFLICT:
                await self._keep_beside(step, step.key)
            elif step.decision == Decision.MODE:
                await self._set_mode(step)
            else:
                await self._download(step)
        except InTheWay as obstacle:
            await self._give_way(step, obstacle.key)
        except (Different, FileNotFoundError):
            self._finish(Outcome(step, again=True))
        except OSError as error:
            self._finish(Outcome(step, error=error))

    async def _give_way(self, step: Step, obstacle: Key) -> None:
        """What is here stays, since this machine's changes win; the container's is kept beside."""
        if step.remote is None:
            self._finish(Outcome(step, stays=True))
            return
        try:
            await self._keep_beside(step, obstacle)
        except (Different, InTheWay, FileNotFoundError):
            self._finish(Outcome(step, again=True))
        except OSError as error:
            self._finish(Outcome(step, error=error))

    async def _delete(self, step: Step) -> None:
        assert step.local
        with local_writing.opened(self._tree, step.key) as place:
            seen = await _look(place, step)
            local_writing.remove(place, seen, step.local)
            self._tree.note(step.key, None)
            self._finish(Outcome(step))

    async def _set_mode(self, step: Step) -> None:
        assert step.local and step.remote
        mode = step.local.mode & ~0o111 | step.remote.mode & 0o111
        with local_writing.opened(self._tree, step.key) as place:
            local_writing.set_mode(place, mode, await _look(place, step))
            self._done(step, step.local._replace(mode=mode))

    async def _download(self, step: Step) -> None:
        assert step.remote
        if step.remote.kind == FOLDER:
            with self._opened(step.key) as place:
                seen = await _look(place, step)
                mode = local_writing.put_folder(place, step.remote.mode, seen, step.local)
                self._done(step, step.remote._replace(mode=mode))
        elif step.remote.kind == FILE:
            await self._download_file(step)
        else:
            target, entry = await self._read_link(step)
            with self._opened(step.key) as place:
                seen = await _look(place, step)
                local_writing.put_link(place, target, seen, step.local)
                self._done(step, entry)

    async def _download_file(self, step: Step) -> None:
        assert step.remote
        with self._opened(step.key) as place:
            partial = Partial(place, step.remote.mode)
        try:
            entry = await read_file(self._connection, step.key, step.remote, partial.write)
            # opened again: the folder may have been moved meanwhile
            with local_writing.opened(self._tree, step.key) as place:
                seen = await _look(place, step)
                mode = local_writing.put_file(place, partial, seen, step.remote.mode, step.local)
                self._done(step, entry._replace(mode=mode))
        finally:
            partial.close()

    async def _keep_beside(self, step: Step, obstacle: Key) -> None:
        """Keep the container's version beside the path that has no place for it: the step's, or one above."""
        assert step.remote
        if step.remote.kind == FOLDER:
            self._finish(Outcome(step, step.remote, stays=True))
            return
        key = self._beside(step.key, obstacle)
        if step.remote.kind == FILE:
            with local_writing.opened(self._tree, key, make=True) as place:
                partial = Partial(place, step.remote.mode)
            try:
                entry = await read_file(self._connection, step.key, step.remote, partial.write)
                with local_writing.opened(self._tree, key) as place:
                    local_writing.put_file(place, partial, None, step.remote.mode, None)
            finally:
                partial.close()
        else:
            target, entry = await self._read_link(step)
            with local_writing.opened(self._tree, key, make=True) as place:
                local_writing.put_link(place, target, None, None)
        self._finish(Outcome(step, entry, stays=True, copy=self._place(key)))

    def _beside(self, key: Key, obstacle: Key) -> Key:
        root, attempt = self._tree.roots[key.root], 0
        name = os.fsencode(root.local.name) if root.only else obstacle.path
        while True:
            path = local_writing.name_beside(name, self._stamp, attempt) + key.path[len(obstacle.path) :]
            beside = Key(key.root, path)
            if not self._place(beside).is_symlink() and not self._place(beside).exists():
                return beside
            attempt += 1

    def _place(self, key: Key) -> Path:
        return local_writing.folder_of(self._tree.roots[key.root]) / os.fsdecode(key.path)

    async def _read_link(self, step: Step) -> tuple[bytes, Entry]:
        content = await self._connection.read(step.key.root, step.key.path, 0, protocol.CHUNK)
        entry = Entry(content.found.kind, 0, len(content.data), hashlib.sha256(content.data).digest())
        if step.remote is None or entry[0] != step.remote.kind or _is_other(step.remote, entry):
            raise Different(step.key)
        return content.data, entry

    @contextmanager
    def _opened(self, key: Key) -> Iterator[Place]:
        """The place of what is new; folders that are made on the way are taken note of."""
        with local_writing.opened(self._tree, key, make=True) as place:
            for folder in place.made:
                entry = read_entry(self._tree.place(folder))
                self._done(Step(folder, Decision.DOWNLOAD, None, entry), entry)
            yield place

    def _done(self, step: Step, entry: Entry) -> None:
        self._tree.note(step.key, entry)
        self._finish(Outcome(step, entry))


async def read_file(connection: Connection, key: Key, expected: Entry, write: Callable[[bytes], None]) -> Entry:
    """Read a container's file in parts, several of them under way; returns what it is.

    Raises Different when it is not what was expected, or changes between two parts.
    """
    part = await connection.read(key.root, key.path, 0, protocol.CHUNK)
    whole, digest, offset = part.found, hashlib.sha256(), 0
    if whole.kind != FILE or whole.size != expected.size:
        raise Different(key)
    left = iter(range(protocol.CHUNK, whole.size, protocol.CHUNK))
    parts: deque[asyncio.Task[protocol.Content]] = deque()
    failure: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        # what was asked is waited for, also when it is of no use: a request that is given up may end the stream
        while True:
            if part.found != whole or len(part.data) != min(protocol.CHUNK, whole.size - offset):
                failure = Different(key)
                break
            try:
                write(part.data)
            except OSError as error:
                failure = error
                break
            digest.update(part.data)
            offset += len(part.data)
            while len(parts) < _PARTS_UNDER_WAY and (start := next(left, None)) is not None:
                reading = connection.read(key.root, key.path, start, protocol.CHUNK)
                parts.append(tasks.create_task(reading, name="read part"))
            if not parts:
                break
            part = await parts.popleft()
    entry = Entry(FILE, whole.mode & 0o777, whole.size, digest.digest())
    if failure or _is_other(expected, entry):
        raise failure or Different(key)
    return entry


def _is_other(expected: Entry, entry: Entry) -> bool:
    return expected.digest != NO_DIGEST and expected.digest != entry.digest


async def _look(place: Place, step: Step) -> Version | None:
    """See that what is here is what the merge saw, and keep it where that is wanted."""
    if step.local and step.local.kind == FILE and step.local.size > protocol.CHUNK:
        seen = await asyncio.to_thread(local_writing.check, place, step.local)
    else:
        seen = local_writing.check(place, step.local)
    return local_writing.keep(place, seen, step.local, step.kept) if step.kept and step.local else seen
