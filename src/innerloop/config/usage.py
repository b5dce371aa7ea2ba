"""Which variables nothing uses."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from pathlib import Path

from innerloop.config.files import read
from innerloop.config.variables import BUILT_IN, references
from innerloop.project import FilesSource, HelmSource, KustomizeSource, ManifestSource, Project, ProjectReference


def unused(project: Project) -> list[str]:
    """Declared variables that neither ``loop.yaml`` nor a value file, kustomization or manifest mentions again."""
    text = read(project.file)
    names = [name for name in project.variables if name not in BUILT_IN and not _mentioned_twice(name, text)]
    if not names:
        return []
    used = {name for file in _substituted(project) for name in references(read(file))}
    return [name for name in names if name not in used]


def _mentioned_twice(name: str, text: str) -> bool:
    # a condition of a profile names variables without ${}, so any second mention counts
    return len(re.findall(rf"\b{re.escape(name)}\b", text)) > 1


def _substituted(project: Project) -> Iterator[Path]:
    others = (dependency.source for dependency in project.dependencies.values())
    sources = [*project.manifests, *(source for source in others if not isinstance(source, ProjectReference))]
    for source in sources:
        yield from (file for file in _files(source) if file.is_file())


def _files(source: ManifestSource) -> Iterator[Path]:
    if isinstance(source, HelmSource):
        yield from source.values
    elif isinstance(source, KustomizeSource):
        for pattern in source.substitute:
            yield from source.path.glob(pattern)
    elif isinstance(source, FilesSource) and source.substitute:
        yield from map(Path, glob.glob(source.pattern, recursive=True))
