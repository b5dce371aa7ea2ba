"""Which program builds: the one that is named, else the one that is there."""

from __future__ import annotations

import asyncio
import shutil
from typing import NamedTuple

from innerloop import processes
from innerloop.build import buildah, docker
from innerloop.build.builders import Builder
from innerloop.errors import Location, LoopError

ANSWER_SECONDS = 2.0
"""For the docker daemon to say that it is there."""


class Found(NamedTuple):
    """What builds here, and what it has."""

    builder: Builder
    image_ids: dict[str, str]
    """ID by reference."""


async def find_builder(named: str | None, where: Location | None = None) -> Found:
    """The builder that ``choose_builder`` chooses, asked for its images."""
    builder = await choose_builder(named, where)
    return Found(builder, await builder.image_ids())


async def choose_builder(named: str | None, where: Location | None) -> Builder:
    """The named builder, else docker if its daemon answers, else buildah.

    Raises LoopError that tells what to install or start.
    """
    if named == "buildah":
        processes.find_program("buildah", purpose="to build images", hint="install it: https://buildah.io")
        return buildah
    why_not = await _docker_problem()
    if why_not is None:
        return docker
    if named is None and shutil.which("buildah"):
        return buildah
    raise LoopError(
        "docker cannot build" if named else "there is no program that can build images",
        where=where,
        detail=why_not,
        hint="start the docker daemon, or install buildah (apt install buildah, dnf install buildah)",
    )


async def local_builder(reference: str, where: Location | None) -> Builder:
    """The builder that has an image which someone else made. Raises LoopError when none has."""
    for builder in (docker, buildah):
        if shutil.which(builder.NAME) and (builder is buildah or await _docker_problem() is None):
            if reference in await builder.image_ids():
                return builder
    raise LoopError(
        f"the build ended well, but neither docker nor buildah has an image {reference}",
        where=where,
        hint="the command must give the image the name in $LOOP_IMAGE",
    )


async def _docker_problem() -> str | None:
    """Why docker cannot be used, None when it can."""
    if shutil.which("docker") is None:
        return "docker is not on PATH"
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            completed = await processes.run(["docker", "version", "--format", "{{.Server.Version}}"], check=False)
    except TimeoutError:
        return f"the docker daemon gives no answer within {ANSWER_SECONDS:g} s"
    if completed.code == 0:
        return None
    problem = completed.stderr.decode(errors="replace").strip()
    if "permission denied" in problem:
        problem += "\nto get the right to use it: sudo usermod -aG docker $USER, then log in again"
    return problem
