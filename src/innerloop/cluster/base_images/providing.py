"""Giving a registry the base images that a project needs and cannot get elsewhere."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack
from typing import Any

from innerloop import processes
from innerloop.cluster.base_images import catalog
from innerloop.cluster.base_images.catalog import Name, Recipe
from innerloop.cluster.base_images.making import Workshop, layout_reference, made, workshop
from innerloop.errors import LoopError
from innerloop.events import Emit, Notice, reported

REACHABLE_SECONDS = 5.0
"""For the one try whether the real registry answers."""

_MEDIA_TYPES = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"


async def ensure(images: Iterable[str], registry: str, emit: Emit) -> None:
    """Have the base images among ``images`` in ``registry`` where the real ones cannot be had.

    ``images`` are references as Dockerfiles and manifests write them (``python:3.12-slim``); others than the
    catalog's are left alone, and so is everything when the real registry answers. ``registry`` is ``host:port`` of a
    registry that speaks plain HTTP and takes pushes; it gets them as ``library/NAME:TAG``.

    Takes a few milliseconds when nothing is to be done, one to two minutes for the first image ever. Raises
    LoopError when the registry does not answer or an image cannot be made.
    """
    names = {name for image in images if (name := catalog.parse(image))}
    missing = [name for name in sorted(names) if not await asyncio.to_thread(_registry_has, registry, name)]
    if not missing:
        return
    for program in ("debootstrap", "buildah", "skopeo"):
        hint = "apt-get install debootstrap buildah skopeo"
        processes.find_program(program, purpose=f"to provide {missing[0]} and the like", hint=hint)
    if await _real_registry_has(missing[0]):
        return
    plans: dict[tuple[Recipe, ...], list[Name]] = {}
    for name in missing:
        if recipes := await catalog.recipes(name):
            plans.setdefault(tuple(recipes), []).append(name)
        else:
            emit(Notice(level="warning", message=f"no registry has {name}, and it cannot be made on this machine"))
    async with AsyncExitStack() as stack:
        shop = None
        if not all(made(recipes[0]) for recipes in plans):
            shop = await stack.enter_async_context(workshop(emit))
        await _all(_provide(recipes, names, registry, shop, emit) for recipes, names in plans.items())


async def _all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one, name="base image")
    except ExceptionGroup as failed:
        error: BaseException = failed
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


async def _provide(
    recipes: tuple[Recipe, ...], names: list[Name], registry: str, shop: Workshop | None, emit: Emit
) -> None:
    step = f"base-image/{names[0]}"
    with reported(emit, step, f"base image {names[0]}") as outcome:
        recipe = await _make(recipes, step, shop, emit) if shop else recipes[0]
        for name in names:
            source, destination = layout_reference(recipe), f"docker://{registry}/library/{name}"
            await processes.run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", source, destination])
            if not recipe.exact:
                emit(_stand_in(name, recipe))
        outcome.summary = recipe.contents


async def _make(recipes: tuple[Recipe, ...], step: str, shop: Workshop, emit: Emit) -> Recipe:
    """Make the first that can be made."""
    for recipe in recipes[:-1]:
        try:
            await shop.make(recipe, step, emit)
            return recipe
        except processes.ProgramFailed as error:
            message = f"{recipe.contents} does not run in a Debian 12 image"
            emit(Notice(level="warning", message=message, detail=error.detail or ""))
    await shop.make(recipes[-1], step, emit)
    return recipes[-1]


def _stand_in(name: Name, recipe: Recipe) -> Notice:
    return Notice(
        level="warning",
        message=f"{name} has {recipe.contents}: no registry is reachable and nothing nearer is on this machine",
        hint="install that Python with pyenv or uv, or make a registry reachable"
        if name.repository == "python"
        else "",
    )


def _registry_has(registry: str, name: Name) -> bool:
    connection = http.client.HTTPConnection(registry, timeout=REACHABLE_SECONDS)
    try:
        connection.request(
            "HEAD", f"/v2/library/{name.repository}/manifests/{name.tag}", headers={"Accept": _MEDIA_TYPES}
        )
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException) as error:
        raise LoopError(f"the cluster's registry at {registry} does not answer", detail=str(error)) from error
    finally:
        connection.close()


async def _real_registry_has(name: Name) -> bool:
    inspect = ["skopeo", "inspect", "--raw", f"docker://docker.io/library/{name}"]
    try:
        async with asyncio.timeout(REACHABLE_SECONDS):
            return (await processes.run(inspect, check=False)).code == 0
    except TimeoutError:
        return False
