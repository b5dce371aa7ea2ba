"""What is remembered between runs about contexts, base images and built images: small files in the cache folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from innerloop.paths import cache_dir
from innerloop.storage import write_whole

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


def _file(area: str, key: str) -> Path:
    name = hashlib.sha256(os.fsencode(key)).hexdigest()[:32]
    return cache_dir() / area / f"{name}.msgpack"
