"""The kinds that a cluster serves beyond Kubernetes' own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from innerloop.gitops.gates.custom import ANYTHING, with_common
from innerloop.gitops.gates.kubernetes import Kind, KindKey
from innerloop.kube import openapi
from innerloop.kube.client import Client
from innerloop.kube.discovery import resource
from innerloop.kube.errors import UnknownKind


async def from_cluster(client: Client, wanted: Iterable[KindKey]) -> dict[KindKey, Kind]:
    """Those of the wanted kinds that a cluster has. Raises ApiError, ConnectionFailed."""
    found: dict[KindKey, Kind] = {}
    for api_version, kind in wanted:
        try:
            served = await resource(client, api_version, kind)
        except UnknownKind:
            continue
        schema = (await openapi.schemas(client, api_version)).get(kind, ANYTHING)
        found[api_version, kind] = Kind(with_common(_self_contained(schema)), served.namespaced)
    return found


def _self_contained(node: Any) -> Any:
    """A published schema without references: definitions' have none, those of aggregated APIs are taken as open."""
    if isinstance(node, list):
        return [_self_contained(item) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        return ANYTHING
    return {key: _self_contained(value) for key, value in node.items()}
