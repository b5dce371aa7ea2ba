"""The high-level templates of a project with the variables put in, as they are shown beside what was rendered."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from innerloop.config.files import read, shown
from innerloop.config.variables import substitute
from innerloop.errors import Location
from innerloop.project import FilesSource, HelmSource, KustomizeSource, ManifestSource, Project
from innerloop.render import charts, files, kustomizations, trees

ABOVE = "_above"
"""Stands for ``..`` in the paths of files that are not below the project's folder."""


def filled_templates(project: Project) -> dict[str, bytes]:
    """Every file that the sources name, by path relative to the project's folder; nothing is written.

    Charts of others are not among them: the lock names them. Raises LoopError with the place of what is wrong.
    """
    found: dict[str, bytes] = {}
    for number, source in enumerate(project.manifests):
        where = project.where(f"manifests.{number}")
        found.update((relative(file, project.folder), content) for file, content in _of_source(source, project, where))
    return dict(sorted(found.items()))


def relative(file: Path, folder: Path) -> str:
    """A path that is the same on every machine, with ``/``."""
    parts = Path(os.path.relpath(file, folder)).parts
    return "/".join(ABOVE if part == ".." else part for part in parts)


def _of_source(source: ManifestSource, project: Project, where: Location) -> Iterator[tuple[Path, bytes]]:
    match source:
        case HelmSource():
            yield from _of_chart(source, where)
            yield from ((file, _filled(file, project)) for file in source.values)
        case KustomizeSource():
            needed = kustomizations.contents(source.path, source.substitute, project.variables, where)
            plain = (file for path in sorted(needed.plain) for file in trees.files_below(path))
            yield from ((file, file.read_bytes()) for file in plain)
            yield from ((file, text.encode()) for file, text in needed.filled.items())
        case FilesSource():
            for file in files.matching(source):
                yield file, _filled(file, project) if source.substitute else file.read_bytes()


def _of_chart(source: HelmSource, where: Location) -> Iterator[tuple[Path, bytes]]:
    if not charts.is_local(source):
        return
    chart = Path(source.chart)
    beside = charts.local_dependencies(chart, where) if chart.is_dir() else []
    for folder in (chart, *beside):
        yield from ((file, file.read_bytes()) for file in trees.files_below(folder))


def _filled(file: Path, project: Project) -> bytes:
    return substitute(read(file), project.variables, Location(shown(file), 1, 1)).encode()
