"""Build images and push them to their own registries, without a cluster; and lock what environments are made from."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from innerloop import plugins as plugin_files
from innerloop.build.building import BuiltImage, build
from innerloop.build.destination import Push
from innerloop.build.tags import content_tag
from innerloop.engine.building import chosen_images
from innerloop.errors import LoopError, single_failure
from innerloop.events import Emit
from innerloop.hooks import hooks_alone
from innerloop.project import Image, Project


async def push_images(projects: Sequence[Project], names: Iterable[str], emit: Emit) -> list[BuiltImage]:
    """Build the named images, all when none is named, and push each to the host of its own repository.

    ``projects`` is the project once for each environment: an image with a repository of its own in each is built for
    each. The hooks around building run once. Raises LoopError for a name that is no image's, for what fails, and for an
    image that environments with one repository want differently.
    """
    project = projects[0]
    chosen = chosen_images(project, tuple(names))
    plugins = plugin_files.load(project)
    hooks = hooks_alone(project, plugins, emit)
    wanted = await _wanted(projects, chosen)
    await hooks.run("before-build")
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    build(image, Push(), emit, step=f"build/{image.repository}", project=owner, plugins=plugins),
                    name=f"build {image.repository}",
                )
                for owner, image in wanted
            ]
    except BaseExceptionGroup as failures:
        raise single_failure(failures) from None
    built = [task.result() for task in tasks]
    await hooks.run("after-build", images={one.name: one for one in built})
    return built


async def _wanted(projects: Sequence[Project], names: Sequence[str]) -> list[tuple[Project, Image]]:
    """Each repository once."""
    found: dict[str, tuple[Project, Image]] = {}
    for project in projects:
        for image in (project.images[name] for name in names if name in project.images):
            owner, first = found.setdefault(image.repository, (project, image))
            if first != image and await _tag(first) != await _tag(image):
                raise LoopError(
                    f"{image.repository} would be another image for {project.environment} than for {owner.environment}",
                    where=project.where(f"images.{image.name}"),
                    detail="What was tested in one environment must be what runs in the next.",
                    hint="move the difference to the manifests, or give each environment a repository of its own",
                )
    return list(found.values())


async def _tag(image: Image) -> str:
    return await asyncio.to_thread(content_tag, image)
