"""One at a time on this machine, whoever asks: builds of an image, fetches of a repository."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from innerloop.errors import LoopError

POLL_SECONDS = 0.1


@asynccontextmanager
async def locked(file: Path, on_wait: Callable[[], None] = lambda: None) -> AsyncIterator[None]:
    """Hold a lock file's lock; the kernel gives it back when the process ends, however it does.

    ``on_wait`` is called once when someone else holds it. Raises LoopError when the disk refuses.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LoopError(f"cannot write {file}: {error.strerror}", hint="free disk space, or mend its rights") from error
    try:
        waited = False
        while not _taken(descriptor):
            if not waited:
                on_wait()
            waited = True
            # a blocked thread could not be cancelled
            await asyncio.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
