"""All sources of a project to one stream of low-level manifests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from innerloop.errors import Location, LoopError, single_failure
from innerloop.manifest import Manifest
from innerloop.plugins import Plugins
from innerloop.project import (
    FilesSource,
    HelmSource,
    KustomizeSource,
    ManifestSource,
    PluginSource,
    Project,
)
from innerloop.render.evidence import Evidence, Varying, differing
from innerloop.render.files import render_files
from innerloop.render.helm import render_helm
from innerloop.render.kustomize import render_kustomize


async def render(
    project: Project, *, namespace: str, plugins: Plugins | None = None, evidence: Evidence | None = None
) -> list[Manifest]:
    """The objects of all sources, in their order; the sources are rendered at the same time.

    ``namespace`` is what charts see as their release's. Objects that name no namespace are left so. With ``evidence``
    each source is rendered twice, unless it is known what comes of that. Raises LoopError with the place in a template,
    or of the source in the project's file; also when two sources make the same object.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    _render(source, project, namespace, project.where(f"manifests.{number}"), plugins, evidence),
                    name=f"render source {number}",
                )
                for number, source in enumerate(project.manifests)
            ]
    except BaseExceptionGroup as failures:
        raise single_failure(failures) from None
    manifests = [manifest for task in tasks for manifest in task.result()]
    _check_unique(manifests, namespace)
    return manifests


async def render_source(
    source: ManifestSource, project: Project, *, namespace: str, plugins: Plugins | None = None
) -> list[Manifest]:
    """The objects of one source, as of a dependency of the project. Raises as ``render``."""
    names = (name for name, dependency in project.dependencies.items() if dependency.source is source)
    return await _render(source, project, namespace, project.where(f"dependencies.{next(names, '')}"), plugins)


async def _render(
    source: ManifestSource,
    project: Project,
    namespace: str,
    where: Location,
    plugins: Plugins | None,
    evidence: Evidence | None = None,
) -> list[Manifest]:
    match source:
        case HelmSource():
            return await render_helm(source, project, namespace=namespace, where=where, evidence=evidence)
        case KustomizeSource():
            return await render_kustomize(source, project, where=where, evidence=evidence)
        case FilesSource():
            return render_files(source, project, where)
        case PluginSource():
            return await _render_by_plugin(source, project, where, plugins or Plugins(), evidence)


async def _render_by_plugin(
    source: PluginSource, project: Project, where: Location, plugins: Plugins, evidence: Evidence | None
) -> list[Manifest]:
    manifests = await plugins.render(source, project)
    if evidence is not None:
        again = await plugins.render(source, project)
        evidence.varying += [Varying(one.key, one.source, where) for one in differing(manifests, again)]
    return manifests


def _check_unique(manifests: Iterable[Manifest], namespace: str) -> None:
    seen: dict[tuple[str, str, str, str], Manifest] = {}
    for manifest in manifests:
        key = (manifest.key.group, manifest.kind, manifest.namespace or namespace, manifest.name)
        first = seen.setdefault(key, manifest)
        if first is not manifest:
            raise LoopError(
                f"{manifest.key} is rendered twice: by {first.source} and by {manifest.source}",
                hint="leave it to one of them",
            )
