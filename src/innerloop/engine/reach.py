"""What a changed file reaches: the configuration, the templates, an image, or nothing that has to be run again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from innerloop.paths import PROJECT_STATE
from innerloop.project import Image, Project, SyncPath


class Reach(NamedTuple):
    configuration: bool
    """The project has to be loaded anew."""
    templates: bool
    images: frozenset[str]

    def __bool__(self) -> bool:
        return self.configuration or self.templates or bool(self.images)

    def __or__(self, other: Reach) -> Reach:
        return Reach(
            configuration=self.configuration or other.configuration,
            templates=self.templates or other.templates,
            images=self.images | other.images,
        )


NOTHING = Reach(configuration=False, templates=False, images=frozenset())


def is_bookkeeping(path: Path, is_folder: bool) -> bool:
    """Whether a path is git's or our own: written at every commit and by every hook, it reaches nothing."""
    return path.name in (".git", PROJECT_STATE)


def reach(project: Project, templates: Iterable[Path], changed: Iterable[Path]) -> Reach:
    """What ``changed`` reaches; ``templates`` are the files and folders that rendering depends on.

    A file of an image's context that sync carries into the container reaches nothing here, except what the image is
    made by: its Dockerfile and .dockerignore.
    """
    paths = set(changed)
    configuration = {*project.files, *project.plugins, project.folder / ".env"}
    roots = list(templates)
    return Reach(
        configuration=bool(paths & configuration),
        templates=any(path == root or root in path.parents for path in paths for root in roots),
        images=frozenset(name for name, image in project.images.items() if _rebuilds(project, image, paths)),
    )


def _rebuilds(project: Project, image: Image, paths: set[Path]) -> bool:
    carried = [sync.local for sync in _syncs_of(project, image)]
    for path in paths:
        if path in (image.dockerfile, image.context / ".dockerignore", _own_ignore_file(image)):
            return True
        if image.context in path.parents and not any(path == root or root in path.parents for root in carried):
            return True
    return False


def _syncs_of(project: Project, image: Image) -> Iterable[SyncPath]:
    for target in project.dev.values():
        if target.image == image.name:
            yield from target.sync


def _own_ignore_file(image: Image) -> Path:
    # BuildKit: an ignore file of one Dockerfile wins over the context's
    return image.dockerfile.with_name(image.dockerfile.name + ".dockerignore")
