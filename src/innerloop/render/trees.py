"""Content hashes of files and folders that a render depends on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def digest(paths: Iterable[Path]) -> str:
    """The hash of files' contents, and of all files below folders, by their names; missing ones count as missing."""
    found = hashlib.sha256()
    for path in paths:
        for file in files_below(path):
            content = _content(file)
            mark = "missing" if content is None else str(len(content))
            found.update(f"{file}\0{mark}\0".encode(errors="surrogateescape"))
            found.update(content or b"")
    return found.hexdigest()


def portable_digest(folder: Path) -> str:
    """The same hash for the same files below a folder, wherever it is: ``sha256:…``."""
    found = hashlib.sha256()
    for file in files_below(folder):
        content = file.read_bytes()
        found.update(f"{file.relative_to(folder).as_posix()}\0{len(content)}\0".encode(errors="surrogateescape"))
        found.update(content)
    return f"sha256:{found.hexdigest()}"


def files_below(path: Path) -> Iterator[Path]:
    """The path itself, or all files below it where it is a folder, sorted."""
    if not path.is_dir():
        yield path
        return
    for folder, folders, files in os.walk(path, followlinks=True):
        folders.sort()
        yield from (Path(folder) / name for name in sorted(files))


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
