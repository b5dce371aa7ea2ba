"""A target's synced folders on this machine: looked at once, then watched, and told to whoever carries them."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Protocol

from innerloop.dev.ignoring import IGNORE_FILE, Ignore, Predicate, read_rules
from innerloop.dev.sync.carrying import Carrying
from innerloop.dev.sync.covering import covered_paths, without
from innerloop.dev.sync.local_tree import Content, Key, LocalTree, Look, sync_root
from innerloop.dev.sync.looking import Ignores, look
from innerloop.dev.sync.names import shown
from innerloop.dev.sync.pending import ROOM
from innerloop.dev.watching.batches import Watch
from innerloop.dev.watching.watching import watch
from innerloop.errors import LoopError
from innerloop.events import Emit, Notice
from innerloop.project import DevTarget

_FEW = 16
"""So many files are looked at in the event loop, since a thread takes longer to wake up."""


class Receiver(Protocol):
    """What carries the files to one container."""

    def mark(self, keys: Collection[Key], since: float, contents: Mapping[Key, Content]) -> None:
        """These changed at ``since`` (event loop time); ``contents`` has what was read of some of them."""

    def mark_all(self) -> None:
        """What counts has changed."""


class LocalFiles:
    """The files of one target, for all of its containers.

    It may run long before there is a container: what is known by then needs no look when one comes.
    """

    def __init__(
        self,
        target: DevTarget,
        emit: Emit,
        *,
        left_out: Predicate | None = None,
        built: Callable[[str], bool] | None = None,
    ) -> None:
        """``left_out`` names local paths that do not count, beside those that ignore files and the target name (an
        image's .dockerignore); ``built`` files that only a new image brings."""
        self.tree = LocalTree([sync_root(path) for path in target.sync])
        self.carrying = Carrying(target.sync, self.tree.roots)
        self.receivers: set[Receiver] = set()
        """Who is told of changes."""
        self._target = target
        self._emit = emit
        self._left_out = left_out
        self._built = built
        self._covered = covered_paths(self.tree.roots)
        self._looked = asyncio.Event()
        self._failed = asyncio.Event()
        self._failure: LoopError | None = None
        self._changes: Watch | None = None
        self._told: dict[Key, str] = {}

    async def run(self) -> None:
        """Keep the tree current until cancelled, once.

        Raises LoopError when a folder does not exist, or the system does not let us watch it.
        """
        try:
            _check_folders(self._target)
            await self._follow()
        except LoopError as error:
            self._failure = error
            self._failed.set()
            raise
        finally:
            self._failure = self._failure or LoopError(f"the sync of {self._target.name} ended")
            self._changes = None
            self._looked.set()

    @property
    def has_failed(self) -> bool:
        return self._failed.is_set()

    async def wait_failed(self) -> None:
        """Raises the LoopError that ``run`` raised; returns never."""
        await self._failed.wait()
        await self.wait_looked()

    async def wait_looked(self) -> None:
        """Return when the tree has what is here. Raises LoopError when it is not kept current any more."""
        await self._looked.wait()
        if self._failure:
            raise self._failure

    async def catch_up(self) -> list[str]:
        """Look at everything that was saved until now; returns what can't be read. Raises as ``wait_looked``."""
        while True:
            await self.wait_looked()
            # a watch that ends meanwhile makes place for one that begins with a look at everything
            if self._changes is None or await self._changes.caught_up():
                return list(self._told.values())

    def tell(self, keys: Collection[Key]) -> None:
        """Have everyone carry these, which changed just now."""
        self._tell(keys, asyncio.get_running_loop().time(), {})

    async def _follow(self) -> None:
        """Begins anew when ignore rules change, since they decide what is watched."""
        everything = [Key(number, root.only) for number, root in enumerate(self.tree.roots)]
        while True:
            rules = await asyncio.gather(
                *(read_rules(path.local, path.exclude, self._left_out, self._built) for path in self._target.sync)
            )
            ignores = {number: without(self._covered[number], one.ignores) for number, one in enumerate(rules)}
            places = [path.local for path in self._target.sync]
            with watch([*places, *(file for one in rules for file in one.files_above)], _unless_counted(rules)) as told:
                # they also decide what containers are asked about
                self.carrying.rules = rules
                await self._look(everything, ignores)
                self._changes = told
                self._looked.set()
                for one in self.receivers:
                    one.mark_all()
                try:
                    async for batch in told:
                        await self._look(list(self._keys(batch, ignores)), ignores)
                        if any(os.path.basename(path) == IGNORE_FILE for path in batch):
                            break
                finally:
                    self._looked.clear()

    def _keys(self, paths: Iterable[str], ignores: Ignores) -> Iterator[Key]:
        """The keys of changed paths. One that belongs to several roots may not count in each of them."""
        for path in paths:
            keys = self.tree.keys(path)
            # what one root alone has, and does not count there, is not told by the watcher
            alone = len(keys) == 1 and not self._covered[keys[0].root]
            yield from keys if alone else [key for key in keys if not self._is_left_out(key, ignores)]

    def _is_left_out(self, key: Key, ignores: Ignores) -> bool:
        if not key.path or self.tree.roots[key.root].only:
            return False
        place = self.tree.path(key)
        return ignores[key.root](os.fsdecode(key.path), os.path.isdir(place) and not os.path.islink(place))

    async def _look(self, keys: list[Key], ignores: Ignores) -> None:
        since = asyncio.get_running_loop().time()
        room = ROOM if self.receivers else 0
        if len(keys) <= _FEW and not any(os.path.isdir(self.tree.path(key)) for key in keys):
            seen = look(self.tree, keys, ignores, room=room)
        else:
            seen = await asyncio.to_thread(look, self.tree, keys, ignores, room=room)
        changed = self.tree.take(seen, lambda key, folder: ignores[key.root](os.fsdecode(key.path), folder))
        self._tell_unreadable(seen)
        # also what is as before: it may have been sent while it was something else for a moment
        self._tell(changed | seen.found.keys(), since, seen.contents)

    def _tell(self, keys: Collection[Key], since: float, contents: Mapping[Key, Content]) -> None:
        for one in self.receivers:
            one.mark(keys, since, contents)

    def _tell_unreadable(self, seen: Look) -> None:
        for key, error in seen.errors.items():
            # a file that became a link while it was looked at is a change of its own
            if key not in self._told and error.errno != errno.ELOOP:
                place = self.tree.place(key)
                why = (
                    "is gone; containers keep what they have of it"
                    if not key.path
                    else f"cannot be read: {error.strerror}"
                )
                self._told[key] = f"{self._target.name}: {shown(place)} {why}"
                self._emit(Notice(level="warning", message=self._told[key]))
        for key in self._told.keys() & seen.found:
            del self._told[key]


def _check_folders(target: DevTarget) -> None:
    for path in target.sync:
        if not path.local.exists():
            raise LoopError(f"dev.{target.name}.sync: {path.local} does not exist")


def _unless_counted(rules: list[Ignore]) -> Callable[[str, bool], bool]:
    """Whether a path does not count in any of the folders that have it."""

    def ignore(path: str, folder: bool) -> bool:
        return all(one(path, folder) for one in rules if one.covers(path))

    return rules[0] if len(rules) == 1 else ignore
