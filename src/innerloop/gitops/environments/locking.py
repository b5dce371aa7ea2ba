"""Finding out what goes into the lock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from innerloop import references
from innerloop.build.building import BuiltImage
from innerloop.build.registry import RegistryError, connect
from innerloop.build.tags import content_tag
from innerloop.config.files import shown
from innerloop.errors import LoopError
from innerloop.events import Emit, Notice, reported
from innerloop.gitops.environments.lock import LaterLock, Lock, LockedImage, LockedSource, read_lock, write_lock
from innerloop.gitops.environments.locked import repository_of, tagged
from innerloop.gitops.environments.rendering import render_project
from innerloop.gitops.environments.source_commit import source_commit
from innerloop.paths import LOCK_FILE
from innerloop.project import Image, Project
from innerloop.render import engines
from innerloop.render.evidence import Evidence
from innerloop.render.images import image_references
from innerloop.render.kustomize import remote_digest


class _Used(NamedTuple):
    """What the environments are made from."""

    evidence: Evidence
    images: dict[str, references.Reference]
    """Of others, by full name and tag; those by digest need no lock."""
    engines: dict[str, str]


async def lock(projects: Sequence[Project], built: Iterable[BuiltImage], emit: Emit, *, whole: bool) -> None:
    """Write the lock of a project from its environments, and from the images that are in their own registries.

    ``projects`` is the project once for each environment. What cannot be resolved is told, and stays as it was locked
    before, if it was. With ``whole`` nothing else of the former lock stays. Raises LoopError.
    """
    project = projects[0]
    with reported(emit, "lock", f"lock {project.name}") as outcome:
        before = _before(project, emit)
        used = await _used(projects, emit)
        found = Lock(
            engines=used.engines,
            images=await _own(projects, {one.repository: one for one in built}, before, emit),
            third_party_images=await _third_party(used.images, before, emit),
            charts=_charts(used.evidence),
            bases=await _bases(used.evidence, before, emit),
        )
        changed = write_lock(project.folder, found if whole else _over(before, found))
        outcome.summary = f"{shown(project.folder / LOCK_FILE)}{'' if changed else ', unchanged'}"


def _before(project: Project, emit: Emit) -> Lock:
    """The former lock; an empty one where that is broken, for locking anew is how to mend it."""
    try:
        return read_lock(project.folder) or Lock()
    except LaterLock:
        raise
    except LoopError as error:
        _tell(emit, f"{error}: it is written anew", error.detail or "", "")
        return Lock()


async def _used(projects: Sequence[Project], emit: Emit) -> _Used:
    used = _Used(Evidence(), {}, {})
    for project in projects:
        own = {repository_of(image) for image in project.images.values()}
        for use in image_references(await render_project(project, emit=emit, evidence=used.evidence)):
            reference = references.parse(use.reference)
            if reference and not reference.digest and reference.repository not in own:
                used.images[tagged(reference)] = reference
        used.engines.update(await engines.versions(project))
    return used


async def _own(
    projects: Sequence[Project], built: dict[str, BuiltImage], before: Lock, emit: Emit
) -> dict[str, LockedImage]:
    found: dict[str, LockedImage] = {}
    wanted = {repository_of(image): (project, image) for project in projects for image in project.images.values()}
    for name, (project, image) in wanted.items():
        former, new = before.images.get(name), built.get(image.repository)
        if new is not None and new.reference == f"{name}@{new.digest}":
            found[name] = await _locked(project, image, new, former, emit)
        elif former is not None:
            found[name] = former
        else:
            hint = "loop build --push --lock brings it to its own registry, where it gets its digest"
            emit(Notice(level="warning", message=f"image {image.name} ({name}) is not locked", hint=hint))
    return found


async def _locked(
    project: Project, image: Image, new: BuiltImage, former: LockedImage | None, emit: Emit
) -> LockedImage:
    commit = await source_commit(project.folder, [image.context, image.dockerfile], emit)
    inputs = await asyncio.to_thread(content_tag, image)
    assert new.digest is not None, "it was pushed"
    now = LockedImage(digest=new.digest, tag=new.tag, inputs=inputs, commit=commit.commit, clean=commit.clean)
    if former and (former.digest, former.tag, former.inputs) == (now.digest, now.tag, now.inputs):
        # what is unchanged keeps its commit, unless that did not have all of it
        return former if former.clean or not now.clean else now
    return now


async def _third_party(images: dict[str, references.Reference], before: Lock, emit: Emit) -> dict[str, str]:
    async with asyncio.TaskGroup() as group:
        tasks = {
            name: group.create_task(_digest(reference, emit), name=f"resolve {name}")
            for name, reference in images.items()
        }
    found = {name: task.result() or before.third_party_images.get(name) for name, task in tasks.items()}
    return {name: digest for name, digest in found.items() if digest}


async def _digest(reference: references.Reference, emit: Emit) -> str | None:
    name = tagged(reference)
    try:
        async with connect(reference.domain, plain_http=references.is_local(reference.domain)) as registry:
            digest = await registry.digest(reference.path, reference.tag or "latest")
    except RegistryError as error:
        _tell(emit, f"{name} is not resolved: {error.message}", error.detail or "", error.hint or "")
        return None
    if digest is None:
        hint = "check the tag, and the log-in: docker login"
        _tell(emit, f"{name} is not resolved: its registry does not have it, or does not show it", "", hint)
    return digest


def _charts(evidence: Evidence) -> dict[str, LockedSource]:
    return {chart.key: LockedSource(version=chart.version, digest=chart.digest) for chart in evidence.charts}


async def _bases(evidence: Evidence, before: Lock, emit: Emit) -> dict[str, LockedSource]:
    found: dict[str, LockedSource] = {}
    for name in dict.fromkeys(evidence.bases):
        try:
            found[name] = LockedSource(version=_ref(name), digest=await remote_digest(name))
        except LoopError as error:
            _tell(emit, f"base {name} is not resolved", error.detail or error.message, "")
            if name in before.bases:
                found[name] = before.bases[name]
    return found


def _ref(base: str) -> str:
    """The branch, tag or commit that a remote base names, as kustomize reads it; empty for the default branch."""
    query = parse_qs(urlsplit(base).query)
    return next(iter(query.get("ref") or query.get("version") or [""]))


def _over(before: Lock, found: Lock) -> Lock:
    fields = ("engines", "images", "third_party_images", "charts", "bases")
    return msgspec.structs.replace(before, **{name: getattr(before, name) | getattr(found, name) for name in fields})


def _tell(emit: Emit, message: str, detail: str, hint: str) -> None:
    emit(Notice(level="warning", message=message, detail=detail, hint=hint))
