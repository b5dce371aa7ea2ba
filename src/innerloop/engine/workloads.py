"""What of a project runs as pods, and how its pods are found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from innerloop.manifest import TARGET_ANNOTATION, Manifest, ObjectKey
from innerloop.project import DevTarget


class Workload(NamedTuple):
    """An object that makes pods."""

    key: ObjectKey
    selector: str
    """Label selector of its pods, as the API takes it."""
    targets: tuple[str, ...]
    """Dev targets that have a container in it."""
    foreign: bool = False
    """Its pods are someone else's: found by labels only, and never changed."""

    @property
    def service(self) -> str:
        """What people call it."""
        return self.key.name


def workloads(manifests: Iterable[Manifest], namespace: str) -> list[Workload]:
    """The workloads among manifests whose pods can be selected, in their order.

    ``namespace`` is for those that name none.
    """
    found = []
    for manifest in manifests:
        template = manifest.pod_template
        selector = _pod_selector(manifest) if template is not None else ""
        if template is not None and selector:
            key = manifest.key._replace(namespace=manifest.namespace or namespace)
            found.append(Workload(key, selector, _targets(template)))
    return found


def foreign_workload(target: DevTarget, namespace: str) -> Workload:
    """Pods that no manifest of the project makes, as a dev target's selector finds them."""
    selector = format_selector({"matchLabels": target.selector})
    return Workload(ObjectKey("v1", "Pod", namespace, target.name), selector, (target.name,), foreign=True)


def format_selector(selector: Mapping[str, Any]) -> str:
    """A LabelSelector object in the API's string form; empty when it selects everything or nothing."""
    parts = [f"{name}={value}" for name, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or []:
        key, values = expression["key"], ",".join(expression.get("values") or [])
        forms = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        parts.append(forms[expression["operator"]])
    return ",".join(parts)


def _pod_selector(manifest: Manifest) -> str:
    if manifest.kind == "Pod":
        return ",".join(f"{name}={value}" for name, value in sorted(manifest.labels.items()))
    if manifest.kind == "Job":
        # set by the Job controller on every pod since Kubernetes 1.27
        return f"batch.kubernetes.io/job-name={manifest.name}"
    selector = manifest.object["spec"].get("selector")
    return format_selector(selector) if isinstance(selector, dict) else ""


def _targets(template: Mapping[str, Any]) -> tuple[str, ...]:
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    pairs = [pair.partition("=")[0] for pair in annotations.get(TARGET_ANNOTATION, "").split(",")]
    return tuple(dict.fromkeys(name for name in pairs if name))
