"""What a promotion would change: rendered environments against what their branches in the GitOps repository have."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from innerloop.deploy.together import together
from innerloop.errors import LoopError, single_failure
from innerloop.events import Emit, Notice
from innerloop.gitops.differences.differences import Difference, compare
from innerloop.gitops.differences.manifest_files import manifests_of
from innerloop.gitops.environments.rendering import render_environment
from innerloop.gitops.places import contents, layouts, standing
from innerloop.gitops.places.layouts import Place
from innerloop.gitops.repository import repository
from innerloop.gitops.repository.repository import Repository
from innerloop.project import GitOps, Project


class Comparison(NamedTuple):
    """What would change in one place."""

    name: str
    """The environment; of a cluster, the name under which the objects are recorded there."""
    against: str
    """What it was compared with, for people: ``branch main of https://… at 1234567``."""
    differences: tuple[Difference, ...]


def settings(project: Project) -> GitOps:
    """Where the project is promoted to. Raises LoopError where loop.yaml does not say it."""
    if project.gitops is None:
        raise LoopError(
            f"{project.name} has no GitOps repository",
            where=project.where(""),
            hint="name it as `gitops: {repository: …}`",
        )
    return project.gitops


async def against_repository(projects: Sequence[Project], emit: Emit) -> list[Comparison]:
    """One project, loaded for each of the environments that are asked about.

    Where the repository cannot be reached, what it had the last time serves; a Notice tells that. Raises LoopError.
    """
    gitops = settings(projects[0])
    places = {name: place_of(project) for project in projects if (name := project.environment)}
    by_name = {project.environment or "": project for project in projects}

    async def rendered(name: str) -> dict[str, bytes]:
        return contents.files_of(await render_environment(by_name[name], emit=emit), places[name])

    async with repository.opened(gitops.repository, emit, gitops.forge) as there:
        bases = sorted({place.base for place in places.values()})
        try:
            async with asyncio.TaskGroup() as group:
                found = group.create_task(there.branches(*bases, or_copy=True), name="read the GitOps repository")
                wanted = group.create_task(together(rendered, places, name="render"), name="render environments")
        except BaseExceptionGroup as failures:
            raise single_failure(failures) from None
        tips = found.result()
        return [
            await _compared(name, place, tips.get(place.base), there, files, emit)
            for (name, place), files in zip(places.items(), wanted.result(), strict=True)
        ]


def place_of(project: Project) -> Place:
    """Where the environment that a project was loaded for is in the GitOps repository. Raises LoopError."""
    environment = project.environments[project.environment or ""]
    environment = msgspec.structs.replace(environment, namespace=project.namespace)
    return layouts.place(project, environment, settings(project))


async def _compared(
    name: str, place: Place, tip: str | None, there: Repository, wanted: Mapping[str, bytes], emit: Emit
) -> Comparison:
    before: dict[str, bytes] = {}
    if tip is None:
        emit(Notice(level="info", message=f"{there.address} has no branch {place.base} yet"))
        against = f"branch {place.base} of {there.address}, which is not there yet"
    else:
        before = await _promoted(there, tip, place)
        against = f"branch {place.base} of {there.address} at {tip[:7]}"
    after = {path: content for path, content in wanted.items() if contents.is_manifest(path, place)}
    # what is the same to the byte need not be read
    same = {path for path, content in after.items() if before.get(path) == content}
    old, new = ({path: files[path] for path in files.keys() - same} for files in (before, after))
    return Comparison(name, against, tuple(compare(manifests_of(old), manifests_of(new))))


async def _promoted(there: Repository, tip: str, place: Place) -> dict[str, bytes]:
    """The manifests of a commit that promotions wrote; what others put beside them stays, so that it is no difference.

    All of them where no promotion was there.
    """
    found = await standing.state(there, tip, place)
    if found.provenance is None:
        return standing.manifests(found.files, place)
    written = standing.written_paths(found.provenance, place)
    return {path: content for path, content in found.files.items() if path in written}
