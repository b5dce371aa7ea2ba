"""A project with all that it depends on, other projects resolved to theirs in turn."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from innerloop import plugins
from innerloop.config import clones, files, loading
from innerloop.config.loading import Options
from innerloop.errors import Location, LoopError
from innerloop.events import Emit
from innerloop.plugins import Plugins
from innerloop.project import Dependency, Project, ProjectReference

_OTHER_TOOLS = {
    "devspace.yaml": "DevSpace",
    "skaffold.yaml": "Skaffold",
    "Tiltfile": "Tilt",
    "KubernetesLocalProcessConfig.yaml": "Bridge to Kubernetes",
}


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """A project, its plugins, and what must be ready before it, by the names that ``dependencies:`` gives."""

    project: Project
    plugins: Plugins
    dependencies: dict[str, Tree | Dependency] = {}
    """Other projects are trees; the same one is the same tree wherever it is needed."""


async def resolve(project: Project, options: Options, emit: Emit) -> Tree:
    """The tree of a project that was loaded with ``options``; repositories are fetched as far as needed.

    Raises LoopError for a cycle (it tells the path), for one project that is wanted in two different ways, and for
    everything that is wrong in another project's file.
    """
    return await _Resolver(options, emit).tree(project, ())


class _Wanted(msgspec.Struct, frozen=True):
    """How a project is wanted; the same project can only be deployed in one way."""

    file: Path
    profiles: tuple[str, ...]
    variables: dict[str, str]
    namespace: str


class _Resolver:
    def __init__(self, options: Options, emit: Emit) -> None:
        self._options = options
        self._emit = emit
        self._trees: dict[str, tuple[_Wanted, Location, Tree]] = {}

    async def tree(self, project: Project, above: tuple[Project, ...]) -> Tree:
        path = (*above, project)
        references = {
            name: dependency.source
            for name, dependency in project.dependencies.items()
            if isinstance(dependency.source, ProjectReference)
        }
        folders = await self._folders(references)
        found: dict[str, Tree | Dependency] = {}
        for name, dependency in project.dependencies.items():
            reference = references.get(name)
            found[name] = (
                dependency if reference is None else await self._other(dependency, reference, folders[name], path)
            )
        return Tree(project=project, plugins=plugins.load(project), dependencies=found)

    async def _folders(self, references: dict[str, ProjectReference]) -> dict[str, Path]:
        """Where the other projects are, after fetching what comes from git, all at once."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    name: group.create_task(self._folder(name, reference), name=f"fetch {name}")
                    for name, reference in references.items()
                }
        except* LoopError as failures:
            # the first is enough: the others were told as failed steps, or were cancelled for it
            raise failures.exceptions[0] from None
        return {name: task.result() for name, task in tasks.items()}

    async def _folder(self, name: str, reference: ProjectReference) -> Path:
        if reference.git is None:
            assert reference.path is not None
            return reference.path / reference.folder
        clone = await clones.checkout(reference.git, reference.ref, name=name, emit=self._emit)
        return clone / reference.folder

    async def _other(
        self, dependency: Dependency, reference: ProjectReference, folder: Path, path: tuple[Project, ...]
    ) -> Tree:
        parent = path[-1]
        where = parent.where(f"dependencies.{dependency.name}")
        file = _file(folder, dependency.name, where)
        other = loading.load(file, self._options_for(dependency, reference, parent))
        # by name: that is what a project is known by in the cluster, whichever clone it comes from
        if any(other.name == project.name for project in path):
            circle = " → ".join([*(project.name for project in path), other.name])
            raise LoopError(f"the projects depend on each other in a circle: {circle}", where=where)
        wanted = _Wanted(other.file, reference.profiles, reference.variables, other.namespace)
        if other.name in self._trees:
            return self._known(other.name, wanted, where)
        tree = await self.tree(other, path)
        self._trees[other.name] = (wanted, where, tree)
        return tree

    def _known(self, name: str, wanted: _Wanted, where: Location) -> Tree:
        first, place, tree = self._trees[name]
        for field in _Wanted.__struct_fields__:
            before, now = getattr(first, field), getattr(wanted, field)
            if before != now:
                raise LoopError(
                    f"the project {name} is needed with another {field.rstrip('s')} than at {place}",
                    where=where,
                    detail=f"there: {_told(before)}\nhere: {_told(now)}",
                    hint="both must agree, since there can be only one of it",
                )
        return tree

    def _options_for(self, dependency: Dependency, reference: ProjectReference, parent: Project) -> Options:
        return Options(
            profiles=reference.profiles,
            set=reference.variables,
            context=self._options.context,
            namespace=dependency.namespace or self._options.namespace,
            fallback_namespace=parent.namespace,
            env=self._options.env,
            env_optional=True,
        )


def _file(folder: Path, name: str, where: Location) -> Path:
    if not folder.is_dir():
        raise LoopError(f"dependency {name}: {files.shown(folder)} is no folder", where=where)
    file = files.in_folder(folder)
    if file is not None:
        return file
    tools = [tool for marker, tool in _OTHER_TOOLS.items() if (folder / marker).is_file()]
    raise LoopError(
        f"dependency {name}: there is no loop.yaml in {files.shown(folder)}",
        where=where,
        detail=f"It is a project of {tools[0]}, which cannot be a dependency yet." if tools else None,
        hint="for manifests without a project use helm, kustomize or files",
    )


def _told(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={text}" for name, text in value.items()) or "none"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return str(value)
