"""What to send so that a container has what the local tree has, as a function of both."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from innerloop.dev.sync.local_tree import FILE, FOLDER, NO_DIGEST, Entry, Key, LocalTree, above
from innerloop.dev.sync.protocol import Difference, Expected, Guard, Head

_NOTHING = Entry(b"-", 0, 0, NO_DIGEST)


class Batch(NamedTuple):
    """Operations in the order of sending. New content comes before deletions, except where one makes place."""

    making_place: list[Key]
    """Deletions in folders that become files or links."""
    folders: list[Key]
    renames: list[tuple[Key, Key]]
    """From, to."""
    contents: list[Key]
    """Files and links."""
    modes: list[Key]
    deletions: list[Key]
    wanted: dict[Key, Entry]
    """What the paths are to become, as of when the batch was made: the tree goes on changing while it is sent."""
    guards: dict[Key, Guard]
    """What some of the paths have to be right before, so that nothing unseen is overwritten."""

    def __bool__(self) -> bool:
        return any(self[:6])

    def keys(self) -> set[Key]:
        """All that it touches."""
        return {*self.wanted, *self.making_place, *self.deletions, *(old for old, _ in self.renames)}


def make_batch(
    keys: Iterable[Key],
    tree: LocalTree,
    remote: Mapping[Key, Entry],
    not_renamed: Collection[Key] = (),
    is_guarded: Callable[[Key, bool], bool] = lambda key, folder: False,
    first: Collection[Key] = (),
) -> Batch:
    """The operations for some keys; ``remote`` is what the container is known to have.

    A file that vanished and another that appeared with the same content and mode are a rename, unless ``not_renamed``
    has the new one. ``is_guarded`` tells where only what is known may be changed, of a path or a folder. ``first`` is
    what goes, if it does, before anything comes.
    """
    gone: list[Key] = []
    batch = Batch([], [], [], [], [], [], {}, {})
    for key in sorted(set(keys)):
        entry, known = tree.entries.get(key), remote.get(key)
        guarded = is_guarded(key, (entry or known or _NOTHING).kind == FOLDER)
        if guarded:
            batch.guards[key] = Guard(known.kind, known.digest) if known else Guard(b"-", NO_DIGEST)
        if entry is None:
            if known or (key in tree.deleted and not guarded):
                gone.append(key)
        elif known is None or known[2:] != entry[2:] or known.kind != entry.kind:
            (batch.folders if entry.kind == FOLDER else batch.contents).append(key)
            batch.wanted[key] = entry
        elif known.mode != entry.mode and key.path:
            # the mode of the synced folder itself is the container's matter
            batch.modes.append(key)
            batch.wanted[key] = entry
    filled = set(batch.contents)
    _pair_renames(batch, [key for key in gone if key not in first], remote, not_renamed)
    renamed = {old for old, _ in batch.renames}
    for key in reversed(gone):
        if key not in renamed:
            makes_place = key in first or not filled.isdisjoint(above(key))
            (batch.making_place if makes_place else batch.deletions).append(key)
    return batch


def make_check(entries: Mapping[Key, Entry], tree: LocalTree) -> Iterator[Expected]:
    """Questions about some of what there is, in the same order. One by one, so that the first are asked early."""
    for key, entry in entries.items():
        yield Expected(make_head(key, entry, tree), entry.kind, entry.size, entry.digest)


def make_remote(entries: Iterable[tuple[Key, Entry]], results: bytes) -> dict[Key, Entry]:
    """What a container has, by its answers to ``make_check``."""
    remote = {}
    for (key, entry), result in zip(entries, results, strict=True):
        if result == Difference.SAME:
            remote[key] = entry
        elif result == Difference.MODE:
            remote[key] = entry._replace(mode=-1)
    return remote


def make_head(key: Key, entry: Entry | None, tree: LocalTree, batch: Batch | None = None) -> Head:
    guard = batch.guards.get(key) if batch else None
    return Head(key.root, key.path, entry.mode if entry else 0, key in tree.exact, guard)


def _pair_renames(batch: Batch, gone: list[Key], remote: Mapping[Key, Entry], not_renamed: Collection[Key]) -> None:
    sources: dict[tuple[int, Entry], list[Key]] = {}
    filled = set(batch.contents)
    for key in gone:
        known = remote.get(key)
        if known and known.kind == FILE and known.size and filled.isdisjoint(above(key)):
            sources.setdefault((key.root, known), []).append(key)
    for key in batch.contents:
        fitting = sources.get((key.root, batch.wanted[key]))
        if fitting and key not in remote and key not in not_renamed:
            batch.renames.append((fitting.pop(), key))
    renamed = {new for _, new in batch.renames}
    batch.contents[:] = [key for key in batch.contents if key not in renamed]
