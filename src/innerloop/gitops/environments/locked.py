"""Rendering with a lock: sources and images as it has them, and an error where they are not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from innerloop import references
from innerloop.build.tags import content_tag
from innerloop.errors import LoopError
from innerloop.events import Emit, Notice
from innerloop.gitops.environments.lock import Lock, LockedImage, LockedSource, place
from innerloop.gitops.provenance import SourceCommit
from innerloop.manifest import Manifest
from innerloop.project import HelmSource, Image, Project
from innerloop.render import charts
from innerloop.render.evidence import Evidence
from innerloop.render.images import change_images
from innerloop.render.kustomize import remote_digest
from innerloop.render.their_charts import key_of

_ANEW = "lock anew: loop build --lock"


def pinned(project: Project, lock: Lock) -> Project:
    """The project with the charts of others in the versions that were locked."""
    sources = [
        msgspec.structs.replace(source, version=lock.charts[key_of(source)].version)
        if isinstance(source, HelmSource) and not charts.is_local(source) and key_of(source) in lock.charts
        else source
        for source in project.manifests
    ]
    return msgspec.structs.replace(project, manifests=tuple(sources))


def check_engines(project: Project, lock: Lock, engines: Mapping[str, str]) -> None:
    """Raises LoopError where another version would render than the one that was locked."""
    for name, version in engines.items():
        locked = lock.engines.get(name)
        if locked is not None and locked != version:
            raise LoopError(
                f"{name} is {version} here, and {locked} in the lock",
                where=place(project.folder, "engines", name),
                detail="Another version may render other manifests from the same templates.",
                hint=f"install {name} {locked}, or {_ANEW}",
            )


async def check_sources(project: Project, lock: Lock, evidence: Evidence, emit: Emit) -> None:
    """Raises LoopError where a chart or a base is not what was locked; tells those that the lock does not know.

    ``project`` is the one before ``pinned``, the evidence that of the one after.
    """
    before = [source for source in project.manifests if isinstance(source, HelmSource)]
    after = [source for source in pinned(project, lock).manifests if isinstance(source, HelmSource)]
    keys = {key_of(now): key_of(source) for source, now in zip(before, after, strict=True)}
    for chart in evidence.charts:
        _compare(project, lock, "charts", keys.get(chart.key, chart.key), chart.digest, emit)
    for name in dict.fromkeys(evidence.bases):
        # asked only where there is something to compare it with: it takes a fetch
        _compare(project, lock, "bases", name, await remote_digest(name) if name in lock.bases else "", emit)


def with_locked_images(manifests: Iterable[Manifest], lock: Lock) -> list[Manifest]:
    """The manifests with every image that the lock knows by digest; those of others keep their tags, for people."""

    def change(text: str) -> str:
        reference = references.parse(text)
        if reference is None:
            return text
        own = lock.images.get(reference.repository)
        if own is not None:
            return f"{reference.repository}@{own.digest}"
        digest = None if reference.digest else lock.third_party_images.get(tagged(reference))
        return f"{text}@{digest}" if digest else text

    return change_images(manifests, change)


def tagged(reference: references.Reference) -> str:
    """The full name and tag by which the lock knows someone else's image."""
    return f"{reference.repository}:{reference.tag or 'latest'}"


async def warn_of_changes(project: Project, lock: Lock, present: SourceCommit, emit: Emit) -> None:
    """Tell images of the lock that were built from something else than what is there now."""
    for image in project.images.values():
        locked = lock.images.get(repository_of(image))
        if locked is not None and locked.inputs != await asyncio.to_thread(content_tag, image):
            emit(Notice(level="warning", message=_changed(image, locked, present), hint=_BUILD))


_BUILD = "to render with an image of the present state: loop build --push --lock"


def repository_of(image: Image) -> str:
    """What an image is known by in the lock."""
    return references.repository(image.repository)


def _changed(image: Image, locked: LockedImage, present: SourceCommit) -> str:
    before = _commit(locked.commit, locked.clean)
    now = _commit(present.commit, present.clean)
    return f"image {image.name} is locked as it was built from {before}; what it is built from is another now, at {now}"


def _commit(commit: str, clean: bool) -> str:
    if not commit:
        return "no commit"
    return commit[:12] if clean else f"{commit[:12]} with changes"


def _compare(
    project: Project, lock: Lock, area: Literal["charts", "bases"], key: str, present: str, emit: Emit
) -> None:
    locked: LockedSource | None = getattr(lock, area).get(key)
    if locked is None:
        emit(Notice(level="warning", message=f"{key} is not in the lock", hint=_ANEW))
    elif locked.digest != present:
        raise LoopError(
            f"{key} is not what was locked",
            where=place(project.folder, area, key),
            detail=f"locked:  {locked.digest}\npresent: {present}",
            hint=f"someone published another one under the same name; if that is meant, {_ANEW}",
        )
