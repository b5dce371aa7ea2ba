"""Edits that know what they replaced or removed, so that a loss can be told from what was meant."""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import random
from pathlib import Path

_EXCHANGE = 2  # RENAME_EXCHANGE, renameat2(2)
_HERE = -100  # AT_FDCWD
_libc = ctypes.CDLL(None, use_errno=True)

PATHS = ("a", "b", "c", "d", "d/x", "d/y", "d/e", "d/e/z", "f/g", "f")


class Editor:
    """One side's edits of a folder. What it writes is told apart by its content; what it replaces or removes, it moves
    away in one step."""

    def __init__(self, root: Path, trash: Path, seed: int) -> None:
        self._root = root
        self._trash = trash
        self._trash.mkdir()
        self._random = random.Random(seed)
        self._name = root.name
        self._numbers = itertools.count()
        self.written: set[str] = set()

    @property
    def given_up(self) -> set[str]:
        """Contents that this side replaced or removed, whoever wrote them; also what arrived in a folder while it was
        being removed."""
        return {file.read_text() for file in self._trash.rglob("*") if file.is_file()}

    def edit(self) -> None:
        """One edit at random; one that is not possible does nothing."""
        path = self._root / self._random.choice(PATHS)
        try:
            match self._random.choice(("write", "write", "write", "remove", "mkdir", "move")):
                case "write":
                    self._write(path)
                case "remove":
                    self._remove(path)
                case "mkdir":
                    path.mkdir(parents=True)
                case "move":
                    self._move(path, self._root / self._random.choice(PATHS))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EINVAL, errno.ENOTEMPTY):
                raise

    def _write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = f"{self._name} {next(self._numbers)}"
        new = self._trash / str(next(self._numbers))
        new.write_text(content)
        try:
            os.link(new, path)
        except FileExistsError:
            _exchange(new, path)
        else:
            new.unlink()
        self.written.add(content)

    def _remove(self, path: Path) -> None:
        path.rename(self._trash / str(next(self._numbers)))

    def _move(self, path: Path, to: Path) -> None:
        """In two steps, so that what was at the path in the end is known."""
        new = self._trash / str(next(self._numbers))
        path.rename(new)
        if new.is_file():
            to.parent.mkdir(parents=True, exist_ok=True)
            os.link(new, to)
            new.unlink()


def _exchange(one: Path, other: Path) -> None:
    if _libc.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE):
        raise OSError(ctypes.get_errno(), "renameat2", str(other))
