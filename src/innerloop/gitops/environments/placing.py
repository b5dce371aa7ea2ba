"""Manifests as an environment has them: each in its namespace, with the environment's labels, in one order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from innerloop.gitops.environments.scopes import Kind
from innerloop.manifest import Manifest


def placed(
    manifests: Iterable[Manifest], *, namespace: str, cluster_wide: frozenset[Kind], labels: Mapping[str, str]
) -> list[Manifest]:
    """Copies, sorted by namespace, kind and name. An object's own namespace stays; the labels win over its own."""
    found = [_placed(manifest, namespace, cluster_wide, labels) for manifest in manifests]
    return sorted(found, key=lambda manifest: (manifest.namespace, manifest.kind, manifest.name, manifest.api_version))


def _placed(manifest: Manifest, namespace: str, cluster_wide: frozenset[Kind], labels: Mapping[str, str]) -> Manifest:
    metadata = dict(manifest.metadata)
    if not manifest.namespace and (manifest.key.group, manifest.kind) not in cluster_wide:
        metadata = _behind_name(metadata, namespace)
    if labels:
        metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    return Manifest({**manifest.object, "metadata": metadata}, manifest.source)


def _behind_name(metadata: dict[str, Any], namespace: str) -> dict[str, Any]:
    """Where people look for it."""
    others = {key: value for key, value in metadata.items() if key not in ("name", "namespace")}
    return {"name": metadata["name"], "namespace": namespace, **others}
