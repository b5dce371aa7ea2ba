"""What is remembered between runs about contexts, base images and built images: small files in the cache folder."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TypeVar

import msgspec

from innerloop.errors import LoopError
from innerloop.paths import cache_dir

T = TypeVar("T")


def read_record(area: str, key: str, type: type[T]) -> T | None:
    """What was written under a key; None when there is nothing, or nothing of that shape any more."""
    try:
        return msgspec.msgpack.decode(_file(area, key).read_bytes(), type=type)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_record(area: str, key: str, value: object) -> None:
    """Keep a value under a key, whole or not at all. Raises LoopError when the disk refuses."""
    write_whole(_file(area, key), msgspec.msgpack.encode(value))


def write_whole(file: Path, content: bytes) -> None:
    """Write a file, with its folders, so that a reader sees the old or the new content."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as opened:
                opened.write(content)
            os.replace(temporary, file)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise LoopError(f"cannot write {file}: {error.strerror}", hint="free disk space, or mend its rights") from error


def _file(area: str, key: str) -> Path:
    name = hashlib.sha256(os.fsencode(key)).hexdigest()[:32]
    return cache_dir() / area / f"{name}.msgpack"
