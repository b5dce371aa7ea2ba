"""One Kubernetes object as it travels from the renderer to the cluster."""

from __future__ import annotations

from typing import Any, NamedTuple

TARGET_ANNOTATION = "innerloop.dev/target"
"""On pods that are developed: ``TARGET=CONTAINER``, several separated by commas."""


class ObjectKey(NamedTuple):
    """What identifies an object in a cluster; ``namespace`` is empty for cluster-scoped objects."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def group(self) -> str:
        """API group, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


class Manifest:
    """A Kubernetes object with the place it came from.

    ``object`` is the plain decoded YAML and is what every reader and writer works on; the properties are views of
    it, so plugins may write ``m.labels["team"] = "shop"``.
    """

    __slots__ = ("object", "source")

    def __init__(self, object: dict[str, Any], source: str = "") -> None:
        self.object = object
        self.source = source
        """Where it was rendered from, e.g. ``deploy/chart/templates/web.yaml``; for messages only."""

    @property
    def api_version(self) -> str:
        return str(self.object.get("apiVersion", ""))

    @property
    def kind(self) -> str:
        return str(self.object.get("kind", ""))

    @property
    def metadata(self) -> dict[str, Any]:
        value: dict[str, Any] = self.object.setdefault("metadata", {})
        return value

    @property
    def name(self) -> str:
        return str(self.metadata.get("name", ""))

    @property
    def namespace(self) -> str:
        return str(self.metadata.get("namespace") or "")

    @property
    def labels(self) -> dict[str, str]:
        if self.metadata.get("labels") is None:
            self.metadata["labels"] = {}
        value: dict[str, str] = self.metadata["labels"]
        return value

    @property
    def annotations(self) -> dict[str, str]:
        if self.metadata.get("annotations") is None:
            self.metadata["annotations"] = {}
        value: dict[str, str] = self.metadata["annotations"]
        return value

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.api_version, self.kind, self.namespace, self.name)

    @property
    def pod_template(self) -> dict[str, Any] | None:
        """The pod template of a workload (the object itself for a Pod), None where there is none."""
        spec = self.object.get("spec")
        if not isinstance(spec, dict):
            return None
        if self.kind == "Pod":
            return self.object
        if self.kind == "CronJob":
            job = spec.get("jobTemplate")
            spec = job.get("spec") if isinstance(job, dict) else None
        template = spec.get("template") if isinstance(spec, dict) else None
        return template if isinstance(template, dict) and "spec" in template else None

    def __repr__(self) -> str:
        return f"<{self.kind} {self.namespace}/{self.name}>"
