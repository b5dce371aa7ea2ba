"""The kinds that a cluster serves beyond Kubernetes' own."""

from __future__ import annotations

from collections.abc import Iterable

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
        found[api_version, kind] = Kind(with_common(schema), served.namespaced)
    return found
