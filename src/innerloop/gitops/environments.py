"""Rendering an environment: the renderer of the inner loop, with the environment's values and the lock's images."""

from __future__ import annotations

import asyncio
import copy
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from innerloop import __version__
from innerloop import plugins as plugin_files
from innerloop.config.variables import BUILT_IN
from innerloop.errors import single_failure
from innerloop.events import Emit
from innerloop.gitops import determinism
from innerloop.gitops.placing import placed
from innerloop.gitops.provenance import Provenance, SourceCommit
from innerloop.gitops.scopes import cluster_wide_kinds, read_definitions
from innerloop.gitops.source_commit import source_commit
from innerloop.gitops.templates import filled_templates, relative
from innerloop.hooks import hooks_alone
from innerloop.manifest import Manifest
from innerloop.plugins import Plugins
from innerloop.project import Environment, Project
from innerloop.references import repository
from innerloop.render import engines
from innerloop.render.evidence import Evidence, Varying, differing
from innerloop.render.images import image_references
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
    Raises LoopError.
    """
    assert project.environment is not None, "the project was loaded for no environment"
    environment = project.environments[project.environment]
    environment = msgspec.structs.replace(environment, namespace=project.namespace)
    evidence = Evidence()
    try:
        async with asyncio.TaskGroup() as group:
            rendering = render_project(project, plugins=plugins, emit=emit, evidence=evidence)
            stream = group.create_task(rendering, name="render")
            versions = group.create_task(engines.versions(project), name="engine versions")
            commit = group.create_task(
                source_commit(project.folder, _rendered_paths(project), emit), name="source commit"
            )
    except BaseExceptionGroup as failures:
        raise single_failure(failures) from None
    determinism.judge(evidence, project, emit)
    manifests = tuple(stream.result())
    templates = filled_templates(project)
    made = Made(project, manifests, templates, {"innerloop": __version__, **versions.result()})
    return Rendered(environment, manifests, templates, _provenance(made, commit.result()))


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
    again = (
        [Manifest(copy.deepcopy(one.object), one.source) for one in manifests] if _is_checked(plugins, evidence) else []
    )
    manifests = await hooks.after_render(manifests)
    if evidence is not None and again:
        second = await plugins.after_render(again, project)
        where = project.where("plugins")
        evidence.varying += [
            Varying(one.key, one.source, where, "after-render") for one in differing(manifests, second)
        ]
    definitions = read_definitions(project.gitops.schemas if project.gitops else ())
    environment = project.environments.get(project.environment or "")
    return placed(
        manifests,
        namespace=project.namespace,
        cluster_wide=cluster_wide_kinds([*manifests, *definitions]),
        labels=environment.labels if environment else {},
    )


def _is_checked(plugins: Plugins, evidence: Evidence | None) -> bool:
    """Whether functions of plugins have to show that they do the same twice."""
    return evidence is not None and bool(plugins.hooks.get("after-render"))


def _rendered_paths(project: Project) -> list[Path]:
    return [*project.files, *project.plugins, *input_paths(project)]


class Made(NamedTuple):
    """What the provenance is told from."""

    project: Project
    manifests: tuple[Manifest, ...]
    templates: dict[str, bytes]
    engines: dict[str, str]


def _provenance(made: Made, commit: SourceCommit) -> Provenance:
    images = {repository(use.reference): use.reference for use in image_references(made.manifests)}
    return Provenance(
        project=made.project.name,
        environment=made.project.environment or "",
        source=commit,
        images=dict(sorted(images.items())),
        engines=made.engines,
        inputs=_inputs(made, images),
    )


def _inputs(made: Made, images: dict[str, str]) -> str:
    """The same on every machine that renders the same: paths count from the project's folder."""
    project = made.project
    environment = project.environments[project.environment or ""]

    def encode(value: Any) -> str:
        return relative(value, project.folder) if isinstance(value, Path) else str(value)

    facts = {
        "name": project.name,
        "manifests": project.manifests,
        "variables": {name: one.value for name, one in project.variables.items() if name not in BUILT_IN},
        "namespace": project.namespace,
        "labels": environment.labels,
        "engines": made.engines,
        "images": images,
        "templates": {name: hashlib.sha256(content).hexdigest() for name, content in made.templates.items()},
        "plugins": {relative(file, project.folder): file.read_text() for file in project.plugins},
    }
    encoded = msgspec.json.encode(facts, enc_hook=encode, order="deterministic").decode()
    # charts and patterns are text with the absolute path in it
    portable = encoded.replace(msgspec.json.encode(str(project.folder)).decode()[1:-1], "")
    return hashlib.sha256(portable.encode()).hexdigest()
