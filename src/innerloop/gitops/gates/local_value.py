"""Nothing in an environment that only the laptop has: the dev overlay, local registries, values of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from innerloop import references
from innerloop.dev import helper
from innerloop.gitops.gates.findings import Finding
from innerloop.gitops.gates.parts import mapping, mappings
from innerloop.manifest import TARGET_ANNOTATION, Manifest
from innerloop.project import Project, Variable
from innerloop.render.images import image_references

_MACHINE_NAMES = ("docker.internal", "minikube.internal", "k3d.internal", "containers.internal")
"""``host.docker.internal`` and its like: the machine, as a container of it sees it."""


def findings(manifests: Iterable[Manifest], project: Project) -> Iterator[Finding]:
    """One for each object that was changed for development, each image of a local registry, each local variable."""
    manifests = list(manifests)
    for manifest in manifests:
        if mark := _overlay_mark(manifest):
            message = f"it is changed for development: {mark}"
            hint = "render it without `--dev`; where a template has this, take it out"
            yield Finding("local-value", str(manifest.key), message, manifest.source, hint)
    yield from _local_images(manifests)
    yield from _local_variables(project)


def _overlay_mark(manifest: Manifest) -> str:
    """What shows that the dev overlay made or changed an object; empty where nothing does."""
    if manifest.kind == "ConfigMap":
        made = manifest.name.startswith(f"{helper.VOLUME}-") and "binaryData" in manifest.object
        return "the ConfigMap has the helper program" if made else ""
    template = manifest.pod_template
    if template is None:
        return ""
    if TARGET_ANNOTATION in mapping(template, "metadata", "annotations"):
        return f"its pods have the annotation {TARGET_ANNOTATION}"
    spec = mapping(template, "spec")
    if any(volume.get("name") == helper.VOLUME for volume in mappings(spec.get("volumes"))):
        return f"its pods have the volume {helper.VOLUME}"
    containers = [*mappings(spec.get("containers")), *mappings(spec.get("initContainers"))]
    if any(_first(container.get("command")) == helper.PROGRAM for container in containers):
        return f"a container runs {helper.PROGRAM}"
    return ""


def _first(words: Any) -> Any:
    return words[0] if isinstance(words, list) and words else None


def _local_images(manifests: Iterable[Manifest]) -> Iterator[Finding]:
    told: set[tuple[int, str]] = set()
    for use in image_references(manifests):
        parsed = references.parse(use.reference)
        if parsed is None or not is_local_registry(parsed.domain) or (id(use.manifest), parsed.domain) in told:
            continue
        told.add((id(use.manifest), parsed.domain))
        message = f"image {use.reference} is in a registry that only this machine reaches"
        hint = "name the environment's registry, for instance by a variable in its file"
        yield Finding("local-value", str(use.manifest.key), message, use.manifest.source, hint)


def is_local_registry(host: str) -> bool:
    """Whether a registry is of one machine: localhost, a local cluster's, a name that no DNS has."""
    if references.is_local(host):
        return True
    if host.startswith("["):
        return False
    name, _, port = host.partition(":")
    if "." not in name or name.endswith(_MACHINE_NAMES):
        return True
    return _is_node_of_builtin(name, port)


def _is_node_of_builtin(name: str, port: str) -> bool:
    """By ``cluster.builtin.addresses``: a node has the second address of a private /16."""
    # only for the few hosts that get here
    from innerloop.cluster.builtin.configuration import REGISTRY_PORT

    try:
        address = IPv4Address(name)
    except ValueError:
        return False
    return port == str(REGISTRY_PORT) and address.is_private and address.packed[2:] == b"\x00\x02"


def _local_variables(project: Project) -> Iterator[Finding]:
    for variable in project.variables.values():
        source, where = _local_source(variable)
        # a pipeline that sets what the environment's file says anyway changes nothing
        if not source or (variable.overridden and variable.overridden[0][1] == variable.value):
            continue
        message = f"the value of ${{{variable.name}}} comes from {source}, which no other machine has"
        hint = "put it into the environment's file; where each run has its own (a pipeline), allow it"
        fallback = str(project.where(f"variables.{variable.name}"))
        yield Finding("local-value", f"Variable/{variable.name}", message, where or fallback, hint)


def _local_source(variable: Variable) -> tuple[str, str]:
    origin = variable.origin
    if origin.kind == "set":
        return "--set", ""
    if origin.kind == "process":
        return "an environment variable of the process", ""
    if origin.kind == "file" and origin.where and Path(origin.where.file).name == ".env":
        return ".env", str(origin.where)
    return "", ""
