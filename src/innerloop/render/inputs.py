"""What rendering depends on: to know when it has to be done again, and what to watch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from innerloop.errors import Location, LoopError
from innerloop.project import FilesSource, HelmSource, KustomizeSource, ManifestSource, Project
from innerloop.render import charts, files, kustomizations, trees

_CHART_PARTS = ("Chart.yaml", "Chart.lock", "values.yaml", "values.schema.json", "templates", "crds", "charts", "files")


def fingerprint(project: Project) -> str:
    """A hash that changes when the rendered stream may change: sources, variables, and all files behind them."""
    facts = {
        "manifests": project.manifests,
        "variables": {name: variable.value for name, variable in project.variables.items()},
        "profiles": project.profiles,
        "files": trees.digest(
            [*project.plugins, *(path for source in project.manifests for path in _exact(source, project))]
        ),
    }
    encoded = msgspec.json.encode(facts, enc_hook=str, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()


def input_paths(project: Project) -> list[Path]:
    """Files and folders to watch, sorted: a change of or below one of them may change the stream.

    The project's own folder is never among them, since every save would then render anew: of sources that lie directly
    in it only the files that are there now.
    """
    paths = {path for source in project.manifests for path in _watched(source, project)}
    return sorted(path for path in paths if not any(parent in paths for parent in path.parents))


def _exact(source: ManifestSource, project: Project) -> list[Path]:
    """The files and folders of a source that are there now."""
    return files.matching(source) if isinstance(source, FilesSource) else sorted(_watched(source, project))


def _watched(source: ManifestSource, project: Project) -> Iterator[Path]:
    match source:
        case HelmSource():
            yield from source.values
            for folder in _chart_folders(source):
                yield from [folder] if _is_apart(folder, project) else (folder / name for name in _CHART_PARTS)
        case KustomizeSource():
            yield from [source.path] if _is_apart(source.path, project) else ()
            yield from _kustomization(source, project)
        case FilesSource():
            folder = _fixed_part(source.pattern)
            yield from [folder] if _is_apart(folder, project) else files.matching(source)


def _is_apart(folder: Path, project: Project) -> bool:
    """Whether a folder can be watched without watching the whole project."""
    return not project.folder.is_relative_to(folder)


def _chart_folders(source: HelmSource) -> list[Path]:
    if not charts.is_local(source):
        return []
    folder = Path(source.chart)
    try:
        return [folder, *charts.local_dependencies(folder, Location(source.chart))]
    except LoopError:
        # rendering tells what is wrong with it; until then the chart itself is what is there to watch
        return [folder]


def _kustomization(source: KustomizeSource, project: Project) -> list[Path]:
    try:
        found = kustomizations.contents(source.path, source.substitute, project.variables, Location(str(source.path)))
    except LoopError:
        # as above
        return []
    return kustomizations.inputs(found)


def _fixed_part(pattern: str) -> Path:
    """The folder that all matches of a glob are below, or the file itself where there is no wildcard."""
    path = Path(pattern)
    return next(parent for parent in [path, *path.parents] if not set("*?[") & set(str(parent)))
