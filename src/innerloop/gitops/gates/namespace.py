"""Each namespaced object is in the environment's namespace, or in one that ``loop.yaml`` names for its source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from innerloop.gitops.gates.findings import Finding
from innerloop.gitops.gates.kubernetes import Kind, KindKey
from innerloop.manifest import Manifest
from innerloop.project import Environment, Project


def findings(
    manifests: Iterable[Manifest], kinds: Mapping[KindKey, Kind], project: Project, environment: Environment
) -> Iterator[Finding]:
    """One for each object whose namespace is missing, of no use, or not the environment's.

    A kind that is not in ``kinds`` is the schema gate's business.
    """
    expected = {environment.namespace, *_named(project)} if environment.namespace else set()
    for manifest in manifests:
        kind = kinds.get((manifest.api_version, manifest.kind))
        if kind is None:
            continue
        name, namespace = str(manifest.key), manifest.namespace
        if not kind.namespaced:
            if namespace:
                message = f"{manifest.kind} is in no namespace, and this one names {namespace}"
                yield Finding("namespace", name, message, manifest.source, "take metadata.namespace out")
        elif not namespace:
            message = "it has no namespace: where it goes is left to who applies it"
            hint = f"set environments.{environment.name}.namespace"
            yield Finding("namespace", name, message, manifest.source, hint)
        elif expected and namespace not in expected:
            message = f"it is in namespace {namespace}, the environment's is {environment.namespace}"
            hint = "take metadata.namespace out; on purpose: name it at the source in loop.yaml, or allow it"
            yield Finding("namespace", name, message, manifest.source, hint)


def _named(project: Project) -> set[str]:
    """The namespaces that ``loop.yaml`` gives to sources and dependencies: written there, so on purpose."""
    given = [getattr(source, "namespace", None) for source in project.manifests]
    for dependency in project.dependencies.values():
        given += [dependency.namespace, getattr(dependency.source, "namespace", None)]
    return {name for name in given if name}
