"""Bringing one image to where the cluster finds it, unless it is there already."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import msgspec

from innerloop import processes, references
from innerloop.build.bases import architecture_of, base_digests
from innerloop.build.builders import Builder, Order
from innerloop.build.choosing import Found, find_builder, local_builder
from innerloop.build.delivery import Delivered, deliver, delivered
from innerloop.build.destination import Destination, Push
from innerloop.build.dockerignore import ignore_file, read_ignore
from innerloop.build.image_config import ImageConfig
from innerloop.build.output import Output
from innerloop.build.tags import content_tag, is_dockerfile_build, read_image_dockerfile, used_arguments
from innerloop.errors import LoopError
from innerloop.events import Emit, Notice, StepProgress, reported
from innerloop.locking import locked
from innerloop.paths import state_dir
from innerloop.plugins import Plugins
from innerloop.project import Image, Project
from innerloop.references import DOCKER_HUB


class BuiltImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is where the cluster finds it."""

    name: str
    repository: str
    reference: str
    """What manifests get: by digest where it was pushed, else by content tag."""
    tag: str
    digest: str | None
    architecture: str
    """That it was made for, in Go's words: ``amd64``."""
    cached: bool
    """Nothing had to be built, pushed or loaded."""
    config: ImageConfig


class _Job(NamedTuple):
    image: Image
    destination: Destination
    emit: Emit
    step: str
    project: Project
    plugins: Plugins | None
    found: Found | None

    def progress(self, message: str) -> None:
        self.emit(StepProgress(step=self.step, message=message))


class _Inputs(NamedTuple):
    """What an image is made from, as it was found."""

    builder: Builder | None
    """None: a plugin builds, or a command of the project."""
    bases: tuple[str, ...]
    arguments: dict[str, str]
    tag: str
    reference: str
    """Full name and tag under which it is pushed or loaded."""


async def build(
    image: Image,
    destination: Destination,
    emit: Emit,
    *,
    step: str,
    project: Project,
    plugins: Plugins | None = None,
    found: Found | None = None,
) -> BuiltImage:
    """Build an image and push or load it; what is unchanged is neither built nor sent.

    ``found`` spares asking what builds, where the image names no builder. Reports one step. Raises LoopError with the
    place in the project's file and, for a failed build, all its output.
    """
    job = _Job(image, destination, emit, step, project, plugins, found)
    with reported(emit, step, f"build {image.name}") as outcome:
        try:
            built = await _up_to_date(job)
        except LoopError as error:
            error.where = error.where or project.where(f"images.{image.name}")
            raise
        outcome.summary = f"{built.tag}, unchanged" if built.cached else built.tag
        return built


async def foresee(
    image: Image,
    destination: Destination,
    emit: Emit,
    *,
    project: Project,
    plugins: Plugins | None = None,
    found: Found | None = None,
) -> BuiltImage:
    """What ``build`` would return, without building.

    An image that is not where it belongs yet (not ``cached``) has its tag for a reference, and no configuration.
    Raises LoopError as ``build``.
    """
    job = _Job(image, destination, emit, "", project, plugins, found)
    _check(job)
    inputs = await _inputs(job)
    there = await delivered(destination, inputs.reference)
    return _built(job, inputs, there or Delivered(None, ImageConfig()), cached=there is not None)


async def _up_to_date(job: _Job) -> BuiltImage:
    _check(job)
    inputs = await _inputs(job)
    if found := await delivered(job.destination, inputs.reference):
        return _built(job, inputs, found, cached=True)
    return _built(job, inputs, await _bring(job, inputs), cached=False)


def _check(job: _Job) -> None:
    """Tell what is missing before anything runs."""
    image, where = job.image, f"images.{job.image.name}"
    if not image.context.is_dir():
        place = job.project.where(f"{where}.context")
        raise LoopError(f"the build context {image.context} is not a folder", where=place)
    if is_dockerfile_build(image) and not image.dockerfile.is_file():
        place = job.project.where(f"{where}.dockerfile")
        hint = "write one, or name another file as 'dockerfile:'"
        raise LoopError(f"there is no {image.dockerfile}", where=place, hint=hint)
    for name, file in image.secrets.items():
        if not file.is_file():
            raise LoopError(f"there is no {file} for secret {name}", where=job.project.where(f"{where}.secrets.{name}"))
    repository = references.parse(image.repository)
    if repository is None:
        raise LoopError(f"'{image.repository}' is no name of an image", where=job.project.where(where))
    own = isinstance(job.destination, Push) and not job.destination.prefix
    if own and repository.domain == DOCKER_HUB and repository.path.startswith("library/"):
        raise LoopError(
            f"'{image.repository}' names no registry to push it to, and there is none of a cluster",
            where=job.project.where(where),
            hint="give the image a repository that you may push to, as registry.example.com/shop/web",
        )


async def _inputs(job: _Job) -> _Inputs:
    image = job.image
    builder: Builder | None = None
    described = read_image_dockerfile(image)
    bases: dict[str, str] = {}
    if is_dockerfile_build(image):
        found = None if image.builder else job.found
        builder, local = found or await find_builder(image.builder, job.project.where(f"images.{image.name}"))
        bases = await base_digests(described.bases, local, job.destination.mirror, image.platform)
    tag = await asyncio.to_thread(content_tag, image, base_digests=bases)
    reference = f"{job.destination.repository(image.repository)}:{tag}"
    return _Inputs(builder, described.bases, used_arguments(image, described), tag, reference)


async def _bring(job: _Job, inputs: _Inputs) -> Delivered:
    """Build, and push or load, while nobody else does."""
    folder = state_dir() / "builds" / job.project.name
    output = Output(job.emit, job.step, folder / f"{job.image.name}.log")
    lock = folder / f"{job.image.name}.lock"
    async with locked(lock, lambda: job.progress("another loop builds it: waiting")):
        if found := await delivered(job.destination, inputs.reference):
            return found
        try:
            builder = await _made(job, inputs, output)
            job.progress("sending it to the cluster")
            where = job.project.where(f"images.{job.image.name}")
            return await deliver(job.destination, builder, inputs.reference, output, where)
        finally:
            output.close()


async def _made(job: _Job, inputs: _Inputs, output: Output) -> Builder:
    """Make the image under its reference, unless that is there; returns who has it."""
    image, reference, builder = job.image, inputs.reference, inputs.builder
    if builder is None:
        await _custom(job, reference, output)
        return await local_builder(reference, job.project.where(f"images.{image.name}"))
    if reference in await builder.image_ids():
        return builder
    _warn_of_git(job)
    ignore = ignore_file(image.context, image.dockerfile)
    order = Order(image, reference, inputs.arguments, ignore, inputs.bases, job.destination.mirror)
    if await builder.build(order, output.line):
        raise output.failure(f"building image {image.name} failed", job.project.where(f"images.{image.name}"))
    return builder


async def _custom(job: _Job, reference: str, output: Output) -> None:
    """Let the project's own command or plugin make the image."""
    image = job.image
    if image.command is None:
        await (job.plugins or Plugins()).build(image, reference, job.project)
        return
    environment = {"LOOP_IMAGE": reference}
    if await processes.stream(["sh", "-c", image.command], output.line, cwd=image.context, env=environment):
        raise output.failure(
            f"the command that builds image {image.name} failed", job.project.where(f"images.{image.name}.command")
        )


def _warn_of_git(job: _Job) -> None:
    image = job.image
    if (image.context / ".git").exists():
        ignore = ignore_file(image.context, image.dockerfile)
        if not read_ignore(ignore).excludes(".git"):
            message = f"the context of image {image.name} has .git in it, so every commit builds it anew"
            file = ignore or image.context / ".dockerignore"
            job.emit(Notice(level="warning", message=message, hint=f"add a line '.git' to {file}"))


def _built(job: _Job, inputs: _Inputs, found: Delivered, *, cached: bool) -> BuiltImage:
    image, destination = job.image, job.destination
    name = destination.pulled(image.repository)
    return BuiltImage(
        name=image.name,
        repository=image.repository,
        reference=f"{name}@{found.digest}" if found.digest else f"{name}:{inputs.tag}",
        tag=inputs.tag,
        digest=found.digest,
        architecture=architecture_of(image.platform),
        cached=cached,
        config=found.config,
    )
