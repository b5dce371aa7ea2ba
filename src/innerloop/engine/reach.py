"""What a changed file reaches: the configuration, the templates, an image, or nothing that has to be run again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from innerloop.dev.globs import parse_globs
from innerloop.paths import PROJECT_STATE
from innerloop.project import DevTarget, Image, Project, SyncPath


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


def is_bookkeeping(path: str, is_folder: bool) -> bool:
    """Whether a path is git's or our own: written at every commit and by every hook, it reaches nothing."""
    return path.rpartition("/")[2] in (".git", PROJECT_STATE)


def reach(project: Project, templates: Iterable[Path], changed: Iterable[str]) -> Reach:
    """What ``changed`` (absolute paths) reaches; ``templates`` are the files and folders that rendering depends on.

    A file of an image's context that sync carries into the container reaches nothing here, except what the image is
    made by: its Dockerfile and .dockerignore, and what a target's ``rebuild`` names. Folders that came stand for the
    files in them.
    """
    paths = set(changed)
    configuration = {*project.files, *project.plugins, project.folder / ".env"}
    return Reach(
        configuration=not paths.isdisjoint(map(str, configuration)),
        templates=any(map(_within(templates), paths)),
        images=frozenset(name for name, image in project.images.items() if _rebuilds(project, image, paths)),
    )


def built_files(image: Image, target: DevTarget) -> Callable[[str], bool]:
    """Tells of files in a target's synced folders whether only a new image brings them, by its ``rebuild``.

    Of a synced folder outside the image's context all is synced: no build would bring it.
    """
    globs = parse_globs(target.rebuild)
    folders = [sync.local for sync in target.sync if sync.local == image.context or image.context in sync.local.parents]
    prefixes = [os.path.join(folder, "") for folder in folders]

    def is_built(path: str) -> bool:
        inside = (path[len(prefix) :] for prefix in prefixes if path.startswith(prefix))
        return any(globs.check(os.fsencode(name), False) for name in inside)

    return is_built


def _rebuilds(project: Project, image: Image, paths: set[str]) -> bool:
    made_by = {image.dockerfile, image.context / ".dockerignore", _own_ignore_file(image)}
    if not paths.isdisjoint(map(str, made_by)):
        return True
    is_carried = _within(sync.local for sync in _syncs_of(project, image))
    context = os.path.join(image.context, "")
    targets = [target for target in project.dev.values() if target.image == image.name and target.rebuild]
    built = [built_files(image, target) for target in targets]
    for path in paths:
        if any(is_built(file) for is_built in built for file in (path, *_files_below(path))):
            return True
        if path.startswith(context) and not is_carried(path):
            return True
    return False


def _syncs_of(project: Project, image: Image) -> Iterable[SyncPath]:
    for target in project.dev.values():
        if target.image == image.name:
            yield from target.sync


def _within(roots: Iterable[Path]) -> Callable[[str], bool]:
    """Whether a path is one of the roots, or below one."""
    names = frozenset(map(str, roots))
    prefixes = tuple(os.path.join(name, "") for name in names)
    return lambda path: path in names or path.startswith(prefixes)


def _files_below(path: str) -> Iterator[str]:
    """Nothing where the path is no folder."""
    return (os.path.join(base, name) for base, _, names in os.walk(path) for name in names)


def _own_ignore_file(image: Image) -> Path:
    # BuildKit: an ignore file of one Dockerfile wins over the context's
    return image.dockerfile.with_name(image.dockerfile.name + ".dockerignore")
