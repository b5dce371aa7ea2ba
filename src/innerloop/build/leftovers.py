"""Working containers that an interrupted buildah leaves behind, with their mounts.

buildah removes them itself only when it is interrupted in the middle of a RUN. Each of our builds gets a mark, by an
option that buildah keeps with its containers and that has no other effect: where to look for CNI networks, which builds
on the machine's own network do not. It is a folder that lives as long as the build, so that what a killed process left
is found by the next build.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from innerloop import processes
from innerloop.paths import state_dir

_numbers = itertools.count()


@asynccontextmanager
async def removed() -> AsyncIterator[list[str]]:
    """Options for one build; nothing of it is left when the body ends, nor of builds whose process was killed."""
    folder = state_dir() / "builds" / ".running"
    folder.mkdir(parents=True, exist_ok=True)
    if killed := [mark for mark in folder.iterdir() if not _lives(mark)]:
        await _remove(killed)
    own = folder / f"{os.getpid()}-{next(_numbers)}"
    own.mkdir(exist_ok=True)
    try:
        yield ["--cni-config-dir", str(own)]
    except BaseException:
        await _remove([own])
        raise
    _forget(own)


async def _remove(marks: list[Path]) -> None:
    names = {str(mark) for mark in marks}
    listed = await processes.run(["buildah", "containers", "--all", "--quiet"], check=False)
    async with asyncio.TaskGroup() as group:
        for container in listed.text.split():
            group.create_task(_remove_marked(container, names), name=f"look at container {container[:12]}")
    for mark in marks:
        _forget(mark)


async def _remove_marked(container: str, marks: set[str]) -> None:
    argv = ["buildah", "inspect", "--type", "container", "--format", "{{.CNIConfigDir}}", container]
    if (await processes.run(argv, check=False)).text.strip() in marks:
        # someone else may have removed it by now
        await processes.run(["buildah", "rm", container], check=False)


def _forget(mark: Path) -> None:
    # buildah may have put a lock into it
    shutil.rmtree(mark, ignore_errors=True)


def _lives(mark: Path) -> bool:
    try:
        os.kill(int(mark.name.partition("-")[0]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
