"""Working containers that an interrupted buildah leaves behind, with their mounts.

buildah removes them itself only when it is interrupted in the middle of a RUN. Each of our builds gets a mark, by an
option that buildah keeps with its containers and that has no other effect: where to look for CNI networks, which builds
on the machine's own network do not. A file by the mark's name lives as long as the build, so that what a killed process
left is found by the next build.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from innerloop import processes
from innerloop.paths import state_dir

_MARK = "/run/innerloop-build/"
_numbers = itertools.count()


@asynccontextmanager
async def removed() -> AsyncIterator[list[str]]:
    """Options for one build; nothing of it is left when the body ends, nor of builds whose process was killed."""
    folder = state_dir() / "builds" / ".running"
    folder.mkdir(parents=True, exist_ok=True)
    if killed := [file for file in folder.iterdir() if not _lives(file)]:
        await _remove(killed)
    own = folder / f"{os.getpid()}-{next(_numbers)}"
    own.touch()
    try:
        yield ["--cni-config-dir", f"{_MARK}{own.name}"]
    except BaseException:
        await _remove([own])
        raise
    own.unlink(missing_ok=True)


async def _remove(marks: list[Path]) -> None:
    names = {f"{_MARK}{file.name}" for file in marks}
    listed = await processes.run(["buildah", "containers", "--all", "--quiet"], check=False)
    async with asyncio.TaskGroup() as group:
        for container in listed.text.split():
            group.create_task(_remove_marked(container, names), name=f"look at container {container[:12]}")
    for file in marks:
        file.unlink(missing_ok=True)


async def _remove_marked(container: str, marks: set[str]) -> None:
    argv = ["buildah", "inspect", "--type", "container", "--format", "{{.CNIConfigDir}}", container]
    if (await processes.run(argv, check=False)).text.strip() in marks:
        # someone else may have removed it by now
        await processes.run(["buildah", "rm", container], check=False)


def _lives(mark: Path) -> bool:
    try:
        os.kill(int(mark.name.partition("-")[0]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
