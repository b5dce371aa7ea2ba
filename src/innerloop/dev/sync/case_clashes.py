"""Names that differ in nothing but case, in a container whose file system takes them for one.

Two such files would be written over each other there, and the deletion of one would be that of both. So before a name
that is new there, or goes, is sent, it is compared with its neighbours here; only where one of them is the same but for
case, the container is asked whether it tells them apart. Where it does not, one of them is synced, and the other told.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from typing import NamedTuple

from innerloop.dev.sync.connection import Connection
from innerloop.dev.sync.local_tree import Entry, Key, LocalTree, above
from innerloop.dev.sync.protocol import Listing

Tell = Callable[[Key, Key], None]
"""The path that is not synced, and the one that is."""


class Sorted(NamedTuple):
    now: set[Key]
    """To be sent."""
    later: set[Key]
    """To be tried again after that: the container can't be asked about them before."""
    first: set[Key]
    """Of what is gone: what goes before its name comes again in another case."""


class CaseClashes:
    """Of one container."""

    def __init__(self, tree: LocalTree, remote: MutableMapping[Key, Entry], tell: Tell) -> None:
        """``remote`` is what the container is known to have."""
        self._tree = tree
        self._remote = remote
        self._tell = tell
        self._told: set[Key] = set()
        self._losers: dict[Key, Key] = {}
        """What is not synced, and what is in its place."""
        self._folding: dict[Key, bool] = {}
        """Of folders with such names, whether the container takes them for one."""

    def compared(self) -> None:
        """The container was compared: of names that it may take for one, it is known to have the first at most."""
        entries = self._tree.entries
        if len({(root, fold(path)) for root, path in entries}) == len(entries):
            return
        first: dict[tuple[int, bytes], Key] = {}
        for key in sorted(self._tree.entries):
            if first.setdefault((key.root, fold(key.path)), key) != key:
                self._remote.pop(key, None)

    def is_another_spelling(self, key: Key) -> bool:
        """Whether what the container has at a path that is not here is what is here under a name of other case."""
        if True not in self._folding.values():
            return False
        folded = [one for one in (key, *above(key)) if self._folding.get(one.folder)]
        return any(one not in self._tree.entries and self._group(one, {}) for one in folded)

    async def sort_out(self, connection: Connection, wanted: Collection[Key]) -> Sorted:
        """What becomes of ``wanted``. Raises what asking the container raises."""
        now = {*wanted, *self._freed()}
        later: set[Key] = set()
        respelled: dict[Key, Key | None] = {}
        stays: dict[Key, Key] = {}
        names: dict[Key, Mapping[bytes, list[Key]]] = {}
        for key in sorted(self._doubtful(now)):
            here = key in self._tree.entries
            if not here and (folder := next((one for one in above(key) if one in respelled), None)):
                respelled[key] = self._counterpart(key, folder, respelled[folder])
                continue
            if not here and any(self._counterpart(key, one, stays[one]) for one in above(key) if one in stays):
                now.discard(key)
                continue
            group = self._group(key, names)
            if not group - {key}:
                continue
            folds = await self._folds(connection, key.folder, group | {key})
            winner = min(group, key=lambda one: (one not in self._remote, one))
            if not here and folds:
                now.discard(key)
                (stays if winner in self._remote else respelled)[key] = winner
            elif here and key != winner and folds:
                self._lose(key, winner)
            elif here and key != winner and folds is None:
                later.add(key)
                now.add(winner)
        for one in filter(None, respelled.values()):
            self._remote.pop(one, None)
            now.add(one)
        now.update(respelled)
        lost = {*self._losers, *later}
        kept = {key for key in now if lost.isdisjoint((key, *above(key)))} if lost else now
        return Sorted(kept, later, set(respelled))

    def _doubtful(self, keys: Iterable[Key]) -> Iterator[Key]:
        """What is gone, and what is new there and not the only one here under its name."""
        new: dict[tuple[int, bytes], list[Key]] = {}
        for key in keys:
            if key not in self._tree.entries:
                yield key
            elif key not in self._remote:
                new.setdefault((key.root, fold(key.path)), []).append(key)
        names: dict[Key, Mapping[bytes, list[Key]]] = {}
        for same in new.values():
            # what is in a folder that is new itself is among the keys
            one_of_several = len(same) > 1 or (same[0].folder in self._remote and len(self._group(same[0], names)) > 1)
            if one_of_several:
                yield from same

    def _counterpart(self, key: Key, folder: Key, now: Key | None) -> Key | None:
        """What is at a path now that is gone with a folder whose case alone changed."""
        place = Key(key.root, now.path + key.path[len(folder.path) :]) if now else None
        return place if place in self._tree.entries else None

    def _lose(self, key: Key, winner: Key) -> None:
        self._losers[key] = winner
        if key not in self._told:
            self._told.add(key)
            self._tell(key, winner)

    def _freed(self) -> set[Key]:
        """What can be synced again, since what was in its place is gone."""
        over = [key for key, winner in self._losers.items() if not {key, winner} <= self._tree.entries.keys()]
        for key in over:
            del self._losers[key]
            self._told.discard(key)
        free = {key for key in over if key in self._tree.entries}
        return {key for key in self._tree.entries if not free.isdisjoint((key, *above(key)))} if free else set()

    def _group(self, key: Key, names: dict[Key, Mapping[bytes, list[Key]]]) -> set[Key]:
        """What is here under the key's name, however its case is."""
        folder = key.folder
        if folder not in names:
            names[folder] = self._names(folder)
        return set(names[folder].get(fold(key.path), ()))

    def _names(self, folder: Key) -> dict[bytes, list[Key]]:
        found: dict[bytes, list[Key]] = {}
        try:
            there = os.listdir(os.fsencode(self._tree.path(folder)))
        except OSError:
            return found  # gone, or a single file
        for name in there:
            key = Key(folder.root, b"%s/%s" % (folder.path, name) if folder.path else name)
            if key in self._tree.entries:
                found.setdefault(fold(key.path), []).append(key)
        return found

    async def _folds(self, connection: Connection, folder: Key, group: Collection[Key]) -> bool | None:
        """Whether the container takes these names in a folder for one; None: it has none of them yet."""
        if folder not in self._folding:
            keys = list(group)
            found = await connection.look(keys)
            there = {key.path.rpartition(b"/")[2] for key, one in zip(keys, found, strict=True) if one.kind != b"-"}
            if not there:
                return None
            self._folding[folder] = len(there) > 1 and not there <= await _listed(connection, folder)
        return self._folding[folder]


async def _listed(connection: Connection, folder: Key) -> set[bytes]:
    listed = await connection.list_folder(folder.root, folder.path, watch=False)
    return {name for name, _ in listed.entries} if listed.listing == Listing.END else set()


def fold(path: bytes) -> bytes:
    """The same for paths that differ by case only."""
    return path.lower() if path.isascii() else os.fsencode(os.fsdecode(path).lower())
