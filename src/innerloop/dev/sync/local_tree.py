"""What a target's synced folders hold on this machine, and what was deleted from them during the session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from innerloop.project import SyncPath

FILE, FOLDER, LINK = b"f", b"d", b"l"
NO_DIGEST = bytes(32)


class Key(NamedTuple):
    """A path in the sync: the same here and in every container."""

    root: int
    path: bytes
    """Relative to the root, ``/`` between names; empty for the root itself."""

    @property
    def folder(self) -> Key:
        return Key(self.root, self.path.rpartition(b"/")[0])


class Entry(NamedTuple):
    kind: bytes
    mode: int
    size: int
    digest: bytes
    """SHA-256 of a file's content or a link's target."""


class SyncRoot(NamedTuple):
    """A local folder and its counterpart; of a single file, the folders that hold it."""

    local: Path
    remote: str
    only: bytes = b""
    """Name of the single file."""


Inode = tuple[int, int]
"""Device and number: a file, whatever its names."""


class Content(NamedTuple):
    """All of a small file, as somebody saved it."""

    data: bytes
    digest: bytes


class Look(NamedTuple):
    """What is at some paths right now."""

    at: list[Key]
    """The paths; what is below them was looked at, too. A root that is gone is not among them: that its files are gone
    with it is not what anyone wants carried."""
    found: dict[Key, Entry]
    errors: dict[Key, OSError]
    """What cannot be read, and roots that are gone."""
    linked: dict[Key, Inode]
    """Of what was found, the files that have several names (hard links)."""
    contents: dict[Key, Content]
    """Of small files that nobody is writing, what was read, as far as that was wanted."""


def sync_root(path: SyncPath) -> SyncRoot:
    """The root of a configured path: its folder, or the folder of its file."""
    if path.local.is_dir():
        return SyncRoot(path.local, path.remote)
    name = path.local.name if path.remote.endswith("/") else path.remote.rpartition("/")[2]
    folder = path.remote.rstrip("/") if path.remote.endswith("/") else path.remote.rpartition("/")[0]
    return SyncRoot(path.local, folder or "/", os.fsencode(name))


class LocalTree:
    """The entries of all roots, as of the last look."""

    def __init__(self, roots: Sequence[SyncRoot]) -> None:
        self.roots = roots
        self._places = [str(root.local) for root in roots]
        self._prefixes = [os.path.join(place, "") for place in self._places]
        self.entries: dict[Key, Entry] = {}
        self.deleted: set[Key] = set()
        """What was there earlier in the session: an image, or a container started from it, may still have it."""
        self.exact: set[Key] = set()
        """What got another mode or was made anew during the session: there, the mode here is meant as it is."""
        self.linked: dict[Key, Inode] = {}
        """The files that have several names. The system tells of a change by the name that was used only."""

    def place(self, key: Key) -> Path:
        return Path(self.path(key))

    def path(self, key: Key) -> str:
        """The place as text: of 20,000 files, making Path objects took a third of the time of a look."""
        root = self.roots[key.root]
        inside = key.path and not root.only
        return self._prefixes[key.root] + os.fsdecode(key.path) if inside else self._places[key.root]

    def modified(self, key: Key) -> int:
        """When a path was modified, in nanoseconds since the epoch; 0 for what is gone or unreadable."""
        try:
            return self.place(key).lstat().st_mtime_ns
        except OSError:
            return 0

    def keys(self, path: str) -> list[Key]:
        """The keys of a local path; several when roots overlap, none when it belongs to no root."""
        found = []
        for number, prefix in enumerate(self._prefixes):
            if path.startswith(prefix):
                if not self.roots[number].only:
                    found.append(Key(number, os.fsencode(path[len(prefix) :])))
            elif path == self._places[number]:
                found.append(Key(number, self.roots[number].only))
        return found

    def take(self, look: Look, is_ignored: Callable[[Key, bool], bool]) -> set[Key]:
        """Take in what was found; returns what is different now.

        ``is_ignored`` is asked about what is gone, with whether it was a folder: to become ignored is no deletion.
        """
        changed = set()
        gone = self._gone(look)
        for key in (*look.found, *gone):
            self.linked.pop(key, None)
        self.linked.update(look.linked)
        for key, entry in look.found.items():
            former = self.entries.get(key)
            if former == entry:
                continue
            if key in self.deleted or (former and former[:2] != entry[:2]):
                self.exact.add(key)
            self.entries[key] = entry
            self.deleted.discard(key)
            changed.add(key)
        for key in gone:
            was_folder = self.entries.pop(key).kind == FOLDER
            self.exact.discard(key)
            if not is_ignored(key, was_folder):
                self.deleted.add(key)
                changed.add(key)
        return changed

    def note(self, key: Key, entry: Entry | None) -> None:
        """Take in what was just written or removed here by ourselves, alone: not what is below it."""
        former = self.entries.pop(key, None)
        self.exact.discard(key)
        self.linked.pop(key, None)
        if entry:
            self.entries[key] = entry
            self.deleted.discard(key)
        elif former:
            self.deleted.add(key)

    def _gone(self, look: Look) -> list[Key]:
        gone = [key for key in look.at if key in self.entries and key not in look.found and key not in look.errors]
        # by text, since one folder among many files has all of them gone through
        below: dict[int, list[bytes]] = {}
        for key in look.at:
            if key in self.entries and self.entries[key].kind == FOLDER:
                below.setdefault(key.root, []).append(key.path + b"/" if key.path else b"")
        for root, prefixes in below.items():
            beginnings = tuple(prefixes)
            for key in self.entries:
                is_below = key.root == root and key.path.startswith(beginnings)
                if is_below and key not in look.found and look.errors.keys().isdisjoint((key, *above(key))):
                    gone.append(key)
        return list(dict.fromkeys(gone))


def above(key: Key) -> Iterator[Key]:
    """The folders above a path, nearest first, up to the root."""
    while key.path:
        key = key.folder
        yield key
