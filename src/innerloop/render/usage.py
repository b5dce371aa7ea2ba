"""Which variables the files of a project use: those that nothing uses, and names that nobody declares."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from innerloop.config.files import read, shown
from innerloop.config.problems import suggestion
from innerloop.config.variables import BUILT_IN, occurrences
from innerloop.errors import Location
from innerloop.project import FilesSource, HelmSource, KustomizeSource, ManifestSource, Project, ProjectReference
from innerloop.render import files, kustomizations


class Undeclared(NamedTuple):
    name: str
    where: Location
    hint: str


def unused(projects: Iterable[Project]) -> list[str]:
    """Variables that neither ``loop.yaml`` nor a value file, kustomization or manifest mentions again.

    The projects are one in several environments: what one of them uses is used.
    """
    projects = list(projects)
    text = read(projects[0].file) if projects else ""
    declared = dict.fromkeys(name for project in projects for name in project.variables if name not in BUILT_IN)
    names = [name for name in declared if not _mentioned_twice(name, text)]
    if not names:
        return []
    used = {name for project in projects for name, _ in _occurrences(project)}
    return [name for name in names if name not in used]


def undeclared(project: Project) -> list[Undeclared]:
    """Names in value files, kustomizations and manifests that are no variables, by place; rendering refuses them."""
    found = (
        Undeclared(name, where, suggestion(name, project.variables) or "")
        for name, where in _occurrences(project)
        if name not in project.variables
    )
    return sorted(dict.fromkeys(found), key=lambda one: one.where)


def _mentioned_twice(name: str, text: str) -> bool:
    # a condition of a profile names variables without ${}, so any second mention counts
    return len(re.findall(rf"\b{re.escape(name)}\b", text)) > 1


def _occurrences(project: Project) -> Iterator[tuple[str, Location]]:
    others = (dependency.source for dependency in project.dependencies.values())
    sources = [*project.manifests, *(source for source in others if not isinstance(source, ProjectReference))]
    for file in dict.fromkeys(file for source in sources for file in _files(source, project) if file.is_file()):
        yield from occurrences(read(file), Location(shown(file), 1, 1))


def _files(source: ManifestSource, project: Project) -> Iterator[Path]:
    if isinstance(source, HelmSource):
        yield from source.values
    elif isinstance(source, KustomizeSource):
        yield from kustomizations.substituted(source.path, source.substitute, project.variables)
    elif isinstance(source, FilesSource) and source.substitute:
        yield from files.matching(source)
