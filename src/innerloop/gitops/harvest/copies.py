"""A temporary copy of everything that a project is rendered from, in which patches are tried.

The files lie below a root as they lie in the user's tree, so that ``../base`` stays right.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from innerloop.config import loading
from innerloop.config.files import read
from innerloop.config.loading import Options
from innerloop.errors import Location, LoopError
from innerloop.gitops.harvest import fields
from innerloop.manifest import Manifest, ObjectKey
from innerloop.plugins import Plugins
from innerloop.project import HelmSource, Project
from innerloop.render import charts, inputs, programs
from innerloop.render.rendering import render

Identity = tuple[str, str, str, str]
"""Group, kind, namespace (the project's where none is given) and name of an object."""
Field = tuple[Identity, fields.Path]
Rendered = dict[Field, Any]
"""Every field of every object."""


class Copy:
    """The copied project; ``write`` changes it, ``render`` tells what comes of it."""

    def __init__(self, root: Path, project: Project, options: Options, plugins: Plugins) -> None:
        self._root = root
        self._project = project
        self._options = options
        self._plugins = plugins

    def place(self, file: Path) -> Path:
        """Where a file of the user's tree is in the copy."""
        return self._root / file.relative_to(file.anchor)

    def read(self, file: Path) -> str:
        """The text with its line ends as they are."""
        with self.place(file).open(encoding="utf-8", newline="") as stream:
            return stream.read()

    def write(self, file: Path, text: str) -> None:
        with self.place(file).open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)

    def load(self) -> Project:
        """The project of the copy. Raises LoopError."""
        return loading.load(self.place(self._project.file), self._options)

    async def render(self) -> Rendered:
        """The objects without built images and dev overlay, after the plugins. Raises LoopError."""
        project = self.load()
        manifests = await render(project, namespace=project.namespace, plugins=self._plugins)
        return fields_of(await self._plugins.after_render(manifests, project), project.namespace)


def fields_of(manifests: Iterable[Manifest], namespace: str) -> Rendered:
    """The fields of a stream; ``namespace`` is for objects that name none."""
    return {
        (identity(one.key, namespace), path): value
        for one in manifests
        for path, value in fields.flatten(one.object).items()
    }


def identity(key: ObjectKey, namespace: str) -> Identity:
    """The same for a rendered object and for the one that is on the cluster."""
    return (key.group, key.kind, key.namespace or namespace, key.name)


@contextmanager
def copied(project: Project, options: Options, plugins: Plugins) -> Iterator[Copy]:
    """A copy of the project that lives as long as the body. Raises LoopError for what cannot be read."""
    with tempfile.TemporaryDirectory(prefix="innerloop-") as temporary:
        copy = Copy(Path(os.path.realpath(temporary)), project, options, plugins)
        for path in inputs_of(project):
            _copy(path, copy.place(path))
        yield copy


async def complete_charts(copy: Copy, project: Project) -> None:
    """Put charts that others take from repositories into the copy, so that they are not fetched at each rendering."""
    for number, source in enumerate(project.manifests):
        if not isinstance(source, HelmSource) or source.repo is not None or "://" in source.chart:
            continue
        where = project.where(f"manifests.{number}")
        chart = await charts.local_chart(source, programs.helm(), where)
        if chart.origin is not None and chart.folder != chart.origin and (chart.folder / "charts").is_dir():
            _copy(chart.folder / "charts", copy.place(chart.origin) / "charts")


def inputs_of(project: Project) -> list[Path]:
    """Files and folders that a project is configured and rendered from, as far as they are there."""
    paths = {*project.files, *project.plugins, *inputs.input_paths(project)}
    return sorted(path for path in paths if path.exists())


def text_of(file: Path) -> str:
    """The text of a user's file with its line ends as they are. Raises LoopError when it is no UTF-8."""
    read(file)
    with file.open(encoding="utf-8", newline="") as stream:
        return stream.read()


def _copy(path: Path, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        if path.is_dir():
            shutil.copytree(path, copy, dirs_exist_ok=True, ignore_dangling_symlinks=True)
        else:
            shutil.copyfile(path, copy)
    except (OSError, shutil.Error) as error:
        raise LoopError(f"cannot be copied: {error}", where=Location(str(path))) from error
