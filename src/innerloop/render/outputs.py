"""What helm and kustomize wrote, remembered by everything that they made it from.

Starting them takes most of the time of a render. The memory also keeps a chart that makes up random passwords from
changing them at every render. Rendered manifests may hold secrets: the files are for their owner only.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from innerloop.paths import cache_dir
from innerloop.storage import write_whole

KEPT_SECONDS = 7 * 24 * 3600.0
"""Since an output was last used."""


async def remembered(inputs: object, produce: Callable[[], Awaitable[str]]) -> str:
    """The output for these inputs (plain data that JSON can say), produced where it is not known."""
    encoded = msgspec.json.encode(inputs, order="deterministic")
    file = cache_dir() / "renders" / hashlib.sha256(encoded).hexdigest()
    try:
        output = file.read_text()
        os.utime(file)
    except FileNotFoundError:
        output = await produce()
        write_whole(file, output.encode())
        _forget_old(file.parent)
    return output


def program_identity(program: str) -> tuple[str, int, int]:
    """What changes when a program is replaced by another version of itself."""
    file = os.path.realpath(program)
    status = os.stat(file)
    return file, status.st_size, status.st_mtime_ns


def _forget_old(folder: Path) -> None:
    oldest = time.time() - KEPT_SECONDS
    for file in folder.iterdir():
        if file.stat().st_mtime < oldest:
            file.unlink(missing_ok=True)
