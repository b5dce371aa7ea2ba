"""Plain manifests, by glob."""

from __future__ import annotations

import glob
from pathlib import Path

from innerloop.config.files import read, shown
from innerloop.config.variables import substitute
from innerloop.errors import Location, LoopError
from innerloop.manifest import Manifest
from innerloop.project import FilesSource, Project
from innerloop.render.documents import manifests_in

SUFFIXES = (".yaml", ".yml", ".json")


def matching(source: FilesSource) -> list[Path]:
    """The files of a source, sorted; of a folder those that are named as manifests are."""
    found: set[Path] = set()
    for match in map(Path, glob.glob(source.pattern, recursive=True)):
        found.update([match] if match.is_file() else (file for file in match.iterdir() if file.suffix in SUFFIXES))
    return sorted(file for file in found if file.is_file())


def render_files(source: FilesSource, project: Project, where: Location) -> list[Manifest]:
    """The objects of all files. Raises LoopError with the place in the file, or ``where`` when there is none."""
    files = matching(source)
    if not files:
        raise LoopError(f"no file matches {source.pattern}", where=where)
    return [manifest for file in files for manifest in _in_file(file, source, project)]


def _in_file(file: Path, source: FilesSource, project: Project) -> list[Manifest]:
    name = shown(file)
    text = read(file)
    if source.substitute:
        text = substitute(text, project.variables, Location(name, 1, 1))
    if file.suffix == ".json":
        # JSON may be indented with tabs, YAML may not; inside its strings a tab is always escaped
        text = text.replace("\t", " ")
    return manifests_in(text, name, source_name(file, project))


def source_name(file: Path, project: Project) -> str:
    """A file as manifests tell their origin: relative to the project where it is below it."""
    folder = project.folder
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)
