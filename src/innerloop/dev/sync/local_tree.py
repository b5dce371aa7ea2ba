"""What a target's synced folders hold on this machine, and what was deleted from them during the session."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from innerloop.project import SyncPath

FILE, FOLDER, LINK = b"f", b"d", b"l"
NO_DIGEST = bytes(32)
_MODES = tuple(range(0o1000))
"""One object each, however many files have it."""
_PIECE = 128 * 1024


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


def look(tree: LocalTree, at: Iterable[Key], ignores: Mapping[int, Callable[[str, bool], bool]]) -> Look:
    """Read what is at the keys, and below those that are folders. Touches nothing, so it may run in a thread.

    ``ignores`` tells of each root by number what does not count.
    """
    result = Look([], {}, {}, {})
    _look_at(tree, at, ignores, result)
    _look_at(tree, _other_names(tree, result), ignores, result)
    return result


def _look_at(
    tree: LocalTree, at: Iterable[Key], ignores: Mapping[int, Callable[[str, bool], bool]], result: Look
) -> None:
    wanted = _highest(tree, at)
    left = list(wanted)
    checked: set[Key] = set()
    while left:
        key = left.pop()
        place = tree.path(key)
        try:
            if key in wanted:
                _check_way(tree, key, checked)
            # the root was named by the user, who may have named a link
            entry, inode = _read(place, follow=not key.path or bool(tree.roots[key.root].only))
            result.found[key] = entry
            if inode:
                result.linked[key] = inode
            if entry.kind == FOLDER:
                left += _inside(key, place, ignores[key.root])
        except (FileNotFoundError, NotADirectoryError, _Special) as error:
            result.found.pop(key, None)
            if not key.path:
                result.errors[key] = error
        except OSError as error:
            result.errors[key] = error
        if key in wanted and (key.path or key in result.found):
            result.at.append(key)


def _other_names(tree: LocalTree, look: Look) -> list[Key]:
    """What else in the tree is the same file as something that was found."""
    inodes = set(look.linked.values())
    if not inodes:
        return []
    others = [key for key, inode in tree.linked.items() if inode in inodes and key not in look.found]
    # a file that got a further name had only one when it was last looked at
    new = inodes - set(tree.linked.values())
    for key, entry in tree.entries.items() if new else ():
        if entry.kind == FILE and key not in look.found and key not in tree.linked:
            with contextlib.suppress(OSError):
                status = os.lstat(tree.path(key))
                if (status.st_dev, status.st_ino) in new:
                    others.append(key)
    return others


def _highest(tree: LocalTree, at: Iterable[Key]) -> set[Key]:
    """The keys without those that are below another of them.

    Of what is above a key and was no folder when last looked at, the highest stands for it: only together they make
    sense. Many files share few folders, so these are asked about once.
    """
    keys = set(at)
    new = {folder: _highest_new(tree, folder) for folder in {key.folder for key in keys}}
    changed = {new[key.folder] or key for key in keys}
    below = {folder for folder in {key.folder for key in changed} if not changed.isdisjoint((folder, *above(folder)))}
    return {key for key in changed if not key.path or key.folder not in below}


def _highest_new(tree: LocalTree, folder: Key) -> Key | None:
    """The highest at or above that was no folder when last looked at."""
    highest = None
    for one in (folder, *above(folder)):
        if one.path and (one not in tree.entries or tree.entries[one].kind != FOLDER):
            highest = one
    return highest


def _check_way(tree: LocalTree, key: Key, checked: set[Key]) -> None:
    """Raises NotADirectoryError when the way to a path leads over a link: what is found there belongs elsewhere.

    ``checked`` has the folders that are none, and gets those of the path.
    """
    if key.folder in checked:
        return
    for folder in reversed([folder for folder in above(key) if folder.path and folder not in checked]):
        place = tree.path(folder)
        if not stat.S_ISDIR(os.lstat(place).st_mode):
            raise NotADirectoryError(f"{place} is no folder")
        checked.add(folder)


def read_entry(place: Path | str, *, follow: bool = False, folder: int | None = None) -> Entry:
    """One path as it is, relative to an open folder where one is given. Raises OSError."""
    return _read(place, follow=follow, folder=folder)[0]


def _read(place: Path | str, *, follow: bool, folder: int | None = None) -> tuple[Entry, Inode | None]:
    """One path as it is, and which file it is if that has several names. Raises OSError."""
    status = os.stat(place, dir_fd=folder, follow_symlinks=follow)
    mode = _MODES[status.st_mode & 0o777]
    if stat.S_ISDIR(status.st_mode):
        return Entry(FOLDER, mode, 0, NO_DIGEST), None
    if stat.S_ISLNK(status.st_mode):
        target = os.fsencode(os.readlink(place, dir_fd=folder))
        return Entry(LINK, 0, len(target), hashlib.sha256(target).digest()), None
    if not stat.S_ISREG(status.st_mode):
        raise _Special(f"{place} is neither file, folder nor link")
    size, digest = _content(place, follow, folder, status.st_size)
    return Entry(FILE, mode, size, digest), (status.st_dev, status.st_ino) if status.st_nlink > 1 else None


def _content(place: Path | str, follow: bool, folder: int | None, expected: int) -> tuple[int, bytes]:
    """Size and digest. (Five times as fast for small files as ``hashlib.file_digest`` with its large buffer.)"""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(place, flags, dir_fd=folder)
    try:
        size, digest = 0, hashlib.sha256()
        # a buffer for more than there is: less than that is the end of the file, without asking again
        wanted = min(expected + 1, _PIECE)
        while data := os.read(descriptor, wanted):
            size += len(data)
            digest.update(data)
            if len(data) < wanted:
                break
            wanted = _PIECE
        return size, digest.digest()
    finally:
        os.close(descriptor)


class _Special(OSError):
    """A socket, pipe or device: never synced."""


def _inside(folder: Key, place: str, ignores: Callable[[str, bool], bool]) -> Iterator[Key]:
    prefix = os.fsdecode(folder.path) + "/" if folder.path else ""
    with os.scandir(place) as entries:
        for entry in entries:
            path = prefix + entry.name
            if not ignores(path, entry.is_dir(follow_symlinks=False)):
                yield Key(folder.root, os.fsencode(path))


def above(key: Key) -> Iterator[Key]:
    """The folders above a path, nearest first, up to the root."""
    while key.path:
        key = key.folder
        yield key
