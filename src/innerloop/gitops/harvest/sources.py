"""The files of a project that decide what is rendered, as far as they are its own to edit."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from innerloop.errors import Location, LoopError
from innerloop.project import FilesSource, HelmSource, KustomizeSource, Project
from innerloop.render import charts, files, kustomizations

YAML_SUFFIXES = (".yaml", ".yml", ".json", "")


class Kind(IntEnum):
    """What a file is; the smaller, the rather it is where somebody would make a change."""

    MANIFEST = 0
    KUSTOMIZATION = 1
    """A kustomization, or what it is made of: resources, patches."""
    VALUES = 2
    PROJECT = 3
    """``loop.yaml``: values of charts, defaults of variables."""
    VARIABLES = 4
    """``.env``, or the environment's file."""
    CHART_VALUES = 5
    TEMPLATE = 6


class SourceFile(NamedTuple):
    path: Path
    kind: Kind
    substituted: bool
    """Whether ``${NAME}`` in it is replaced."""


def source_files(project: Project, within: Path, template: str) -> list[SourceFile]:
    """Files below the folder ``within``, which is the repository's, in the order of their kinds.

    ``template`` is the source of the object that is looked for, as its manifest tells it: of a chart's templates only
    that one is of interest.
    """
    found = {project.file: SourceFile(project.file, Kind.PROJECT, True)}
    for one in (*_variables(project), *_rendered(project, template)):
        found.setdefault(one.path, one)
    there = (one for one in found.values() if one.path.is_file() and one.path.is_relative_to(within))
    return sorted(there, key=lambda one: one.kind)


def _variables(project: Project) -> Iterator[SourceFile]:
    for path in project.files:
        if path != project.file:
            yield SourceFile(path, Kind.VARIABLES, True)


def _rendered(project: Project, template: str) -> Iterator[SourceFile]:
    for source in project.manifests:
        match source:
            case HelmSource():
                yield from (SourceFile(path, Kind.VALUES, True) for path in source.values)
                yield from _of_chart(source, project, template)
            case KustomizeSource():
                yield from _of_kustomization(source, project)
            case FilesSource():
                yield from (SourceFile(path, Kind.MANIFEST, source.substitute) for path in files.matching(source))


def _of_chart(source: HelmSource, project: Project, template: str) -> Iterator[SourceFile]:
    folder = Path(source.chart)
    if source.repo is not None or not folder.is_dir():
        return
    where = Location(str(folder))
    for chart in (folder, *charts.local_dependencies(folder, where)):
        yield SourceFile(chart / "values.yaml", Kind.CHART_VALUES, False)
    path = project.folder / template
    if path.is_relative_to(folder / "templates"):
        yield SourceFile(path, Kind.TEMPLATE, False)


def _of_kustomization(source: KustomizeSource, project: Project) -> Iterator[SourceFile]:
    try:
        found = kustomizations.contents(source.path, source.substitute, project.variables, Location(str(source.path)))
    except LoopError:
        # rendering tells what is wrong with it
        return
    substituted = set(found.filled)
    for path in kustomizations.inputs(found):
        if path.suffix in YAML_SUFFIXES:
            yield SourceFile(path, Kind.KUSTOMIZATION, path in substituted)
