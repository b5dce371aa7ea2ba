"""Writing on this machine what a container has: never through a link, never over what nobody has seen.

Each step is quick, except reading a large file again; nothing here waits for anyone.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from innerloop.dev.ignoring import CONFLICT_MARK, PARTIAL_PREFIX, PARTIAL_SUFFIX
from innerloop.dev.sync.local_tree import FILE, FOLDER, Entry, Key, LocalTree, SyncRoot
from innerloop.dev.sync.merging import same
from innerloop.dev.sync.reading import read_entry

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_LONGEST_NAME = 255
_numbers = itertools.count()


class Different(Exception):
    """A path here is not what it was taken for; it has to be looked at again."""


class InTheWay(Exception):
    """What is here leaves no place: a file or link where a folder has to be, or a folder that is not empty."""

    def __init__(self, key: Key) -> None:
        super().__init__(key)
        self.key = key


class RootGone(OSError):
    """The synced folder itself is not there; it is not ours to make."""


class Version(NamedTuple):
    """Tells a path apart from a later state of it."""

    inode: int
    size: int
    modified: int
    changed: int


class Place(NamedTuple):
    """A name in a folder that is held open, so that no link can lead elsewhere."""

    key: Key
    folder: int
    name: bytes
    made: tuple[Key, ...]
    """Folders that had to be made on the way."""


@contextmanager
def opened(tree: LocalTree, key: Key, *, make: bool = False) -> Iterator[Place]:
    """The place of a path. ``make``: with the folders above it, but never the root.

    Raises InTheWay, RootGone, and OSError: FileNotFoundError when a folder is missing.
    """
    root = tree.roots[key.root]
    *names, name = key.path.split(b"/") if key.path != root.only else [os.fsencode(root.local.name)]
    try:
        folder = os.open(folder_of(root), _FOLDER_FLAGS)
    except FileNotFoundError as error:
        raise RootGone(errno.ENOENT, f"{folder_of(root)} is gone") from error
    made = []
    try:
        for depth, part in enumerate(names, 1):
            way = Key(key.root, b"/".join(names[:depth]))
            if make and _make_folder(folder, part):
                made.append(way)
            inner = _enter(folder, part, way)
            os.close(folder)
            folder = inner
        yield Place(key, folder, name, tuple(made))
    finally:
        os.close(folder)


def folder_of(root: SyncRoot) -> Path:
    """The folder that a root's paths are in."""
    return root.local.parent if root.only else root.local


class Partial:
    """A file on its way: written beside its place under a name that sync ignores. Must be closed."""

    def __init__(self, place: Place, mode: int) -> None:
        """Raises OSError."""
        self._folder = os.dup(place.folder)
        self._name = _partial_name()
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self._name, flags, mode, dir_fd=self._folder)
        except OSError:
            os.close(self._folder)
            raise

    def write(self, data: bytes) -> None:
        """Raises OSError, for instance where the disk is full."""
        left = memoryview(data)
        while left:
            left = left[os.write(self._file, left) :]

    def move(self, place: Place, mode: int | None) -> int:
        """Rename it to its place, with a mode if given; returns the mode that it has."""
        if mode is not None:
            os.fchmod(self._file, mode)
        os.rename(self._name, place.name, src_dir_fd=self._folder, dst_dir_fd=place.folder)
        self._name = b""
        return stat.S_IMODE(os.fstat(self._file).st_mode) & 0o777

    def close(self) -> None:
        """Leaves nothing behind, unless it was moved to its place."""
        os.close(self._file)
        try:
            if self._name:
                os.unlink(self._name, dir_fd=self._folder)
        except FileNotFoundError:
            pass  # someone cleaned up before us
        finally:
            os.close(self._folder)


def check(place: Place, expected: Entry | None) -> Version | None:
    """See that a path is still what it was taken for; reads all of a file. Raises Different, OSError."""
    version = _version(place)
    try:
        found = read_entry(os.fsdecode(place.name), folder=place.folder)
    except FileNotFoundError:
        found = None
    if not same(found, expected):
        raise Different(place.key)
    return version


def put_file(place: Place, partial: Partial, seen: Version | None, mode: int, former: Entry | None) -> int:
    """Move a complete file to its place; returns its mode. ``seen`` is what ``check`` told.

    As in containers, a file that replaces another keeps its mode and gains executable bits. Raises Different,
    InTheWay, OSError.
    """
    _expect(place, seen)
    _clear_folder(place, former)
    return partial.move(place, former.mode | (mode & 0o111) if former and former.kind == FILE else None)


def put_link(place: Place, target: bytes, seen: Version | None, former: Entry | None) -> None:
    """Make a symbolic link. Raises as ``put_file``."""
    _expect(place, seen)
    _clear_folder(place, former)
    beside = _partial_name()
    os.symlink(target, beside, dir_fd=place.folder)
    try:
        os.rename(beside, place.name, src_dir_fd=place.folder, dst_dir_fd=place.folder)
    except OSError:
        os.unlink(beside, dir_fd=place.folder)
        raise


def put_folder(place: Place, mode: int, seen: Version | None, former: Entry | None) -> int:
    """Make a folder, which takes the place of a file or link; returns its mode. Raises Different, OSError."""
    _expect(place, seen)
    if former and former.kind != FOLDER:
        os.unlink(place.name, dir_fd=place.folder)
    # a folder of ours that we may not enter would be of no use
    os.mkdir(place.name, mode | 0o700, dir_fd=place.folder)
    return stat.S_IMODE(os.stat(place.name, dir_fd=place.folder, follow_symlinks=False).st_mode) & 0o777


def set_mode(place: Place, mode: int, seen: Version | None) -> None:
    """Set a file's mode. Raises Different, OSError."""
    file = os.open(place.name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place.folder)
    try:
        _expect(place, seen)
        os.fchmod(file, mode)
    finally:
        os.close(file)


def remove(place: Place, seen: Version | None, former: Entry) -> None:
    """Remove a file, a link or an empty folder. Raises Different, InTheWay, OSError."""
    if former.kind == FOLDER:
        _clear_folder(place, former)
    else:
        _expect(place, seen)
        os.unlink(place.name, dir_fd=place.folder)


def keep(place: Place, seen: Version | None, former: Entry, copy: Path) -> Version | None:
    """Keep what is at a path in another place, before it is replaced; returns its version after that.

    Raises Different, OSError.
    """
    _expect(place, seen)
    if former.kind == FOLDER:
        copy.mkdir(parents=True, exist_ok=True)
        return seen
    copy.parent.mkdir(parents=True, exist_ok=True)
    number = 0
    wanted = copy
    while copy.is_symlink() or copy.exists():
        number += 1
        copy = wanted.with_name(f"{wanted.name}.{number}")
    try:
        os.link(place.name, copy, src_dir_fd=place.folder, follow_symlinks=False)
    except OSError:  # another file system, or one without hard links
        source = Path(f"/dev/fd/{place.folder}") / os.fsdecode(place.name)
        shutil.copy2(source, copy, follow_symlinks=False)
    return _version(place)


def name_beside(path: bytes, stamp: str, attempt: int) -> bytes:
    """Where the container's version of a path is kept when both sides changed it."""
    folder, slash, name = path.rpartition(b"/")
    mark = f"{CONFLICT_MARK}{stamp}{f'-{attempt}' if attempt else ''}".encode()
    return folder + slash + name[: _LONGEST_NAME - len(mark)] + mark


def _partial_name() -> bytes:
    return f"{PARTIAL_PREFIX}{os.getpid()}-{next(_numbers)}{PARTIAL_SUFFIX}".encode()


def _make_folder(folder: int, name: bytes) -> bool:
    try:
        os.mkdir(name, dir_fd=folder)
    except FileExistsError:
        return False
    return True


def _enter(folder: int, name: bytes, way: Key) -> int:
    try:
        return os.open(name, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise InTheWay(way) from error
        raise


def _clear_folder(place: Place, former: Entry | None) -> None:
    if former is None or former.kind != FOLDER:
        return
    try:
        os.rmdir(place.name, dir_fd=place.folder)
    except NotADirectoryError as error:
        raise Different(place.key) from error
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise InTheWay(place.key) from error
        raise


def _expect(place: Place, seen: Version | None) -> None:
    if _version(place) != seen:
        raise Different(place.key)


def _version(place: Place) -> Version | None:
    try:
        status = os.stat(place.name, dir_fd=place.folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        # what is made or removed in it changes its times, which is nothing that matters
        return Version(status.st_ino, 0, 0, 0)
    return Version(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
