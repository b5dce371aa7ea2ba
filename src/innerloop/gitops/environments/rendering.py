"""Rendering an environment: the renderer of the inner loop, with the environment's values and the lock's images."""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path
from typing import NamedTuple

import msgspec

from innerloop import __version__
from innerloop import plugins as plugin_files
from innerloop.errors import single_failure
from innerloop.events import Emit
from innerloop.gitops.environments import determinism, locked
from innerloop.gitops.environments.lock import Lock, read_lock
from innerloop.gitops.environments.origins import Made, provenance_of
from innerloop.gitops.environments.placing import placed
from innerloop.gitops.environments.scopes import cluster_wide_kinds
from innerloop.gitops.environments.source_commit import source_commit
from innerloop.gitops.environments.templates import filled_templates
from innerloop.gitops.provenance import Provenance
from innerloop.hooks import hooks_alone
from innerloop.manifest import Manifest
from innerloop.plugins import Plugins
from innerloop.project import Environment, Project
from innerloop.render import engines
from innerloop.render.evidence import Evidence, Varying, differing
from innerloop.render.inputs import input_paths
from innerloop.render.rendering import render


class Rendered(NamedTuple):
    """An environment's low-level manifests, and what they were made from."""

    environment: Environment
    manifests: tuple[Manifest, ...]
    """Sorted by namespace, kind and name; namespaces filled in; images by digest as far as the lock has them."""
    templates: dict[str, bytes]
    """The high-level templates with the variables put in, by path relative to the project's folder."""
    provenance: Provenance
    """Its ``files`` are those of no layout yet: empty."""


async def render_environment(project: Project, *, plugins: Plugins | None = None, emit: Emit) -> Rendered:
    """The environment that ``project`` was loaded for, as by ``cli.options.load_environment``.

    No file of the project is written. Dependencies are no part of it: they are promoted as projects of their own.
    Raises LoopError, also where the result would be another one next time, or is not what the lock has.
    """
    assert project.environment is not None, "the project was loaded for no environment"
    environment = project.environments[project.environment]
    environment = msgspec.structs.replace(environment, namespace=project.namespace)
    known = read_lock(project.folder)
    lock = known or Lock()
    versions = await engines.versions(project)
    locked.check_engines(project, lock, versions)
    evidence = Evidence()
    try:
        async with asyncio.TaskGroup() as group:
            rendering = render_project(locked.pinned(project, lock), plugins=plugins, emit=emit, evidence=evidence)
            stream = group.create_task(rendering, name="render")
            asking = source_commit(project.folder, _rendered_paths(project), emit, written=project.files)
            commit = group.create_task(asking, name="source commit")
    except BaseExceptionGroup as failures:
        raise single_failure(failures) from None
    determinism.judge(evidence, project, emit)
    if known is not None:
        await locked.check_sources(project, known, evidence, emit)
    await locked.warn_of_changes(project, lock, commit.result(), emit)
    manifests = tuple(locked.with_locked_images(stream.result(), lock))
    templates = filled_templates(project)
    made = Made(project, environment, manifests, templates, {"innerloop": __version__, **versions})
    return Rendered(environment, manifests, templates, provenance_of(made, commit.result()))


async def render_project(
    project: Project, *, plugins: Plugins | None = None, emit: Emit, evidence: Evidence | None = None
) -> list[Manifest]:
    """The project's stream after its hooks: namespaces filled in, the environment's labels on it, sorted.

    The same for the laptop, where there is no environment. With ``evidence`` everything but commands is done twice, to
    see whether it comes out the same. Raises LoopError.
    """
    plugins = plugins or plugin_files.load(project)
    hooks = hooks_alone(project, plugins, emit)
    await hooks.run("before-render")
    manifests = await render(project, namespace=project.namespace, plugins=plugins, evidence=evidence)
    again = _copies(manifests) if evidence is not None and plugins.hooks.get("after-render") else None
    manifests = await hooks.after_render(manifests)
    if evidence is not None and again is not None:
        second = await plugins.after_render(again, project)
        where = project.where("plugins")
        evidence.varying += [
            Varying(one.key, one.source, where, "after-render") for one in differing(manifests, second)
        ]
    environment = project.environments.get(project.environment or "")
    return placed(
        manifests,
        namespace=project.namespace,
        cluster_wide=cluster_wide_kinds(manifests, project.gitops.schemas if project.gitops else ()),
        labels=environment.labels if environment else {},
    )


def _copies(manifests: list[Manifest]) -> list[Manifest]:
    """For functions that may write into what they are given."""
    return [Manifest(copy.deepcopy(manifest.object), manifest.source) for manifest in manifests]


def _rendered_paths(project: Project) -> list[Path]:
    return [*project.files, *project.plugins, *input_paths(project)]
