"""Looking at what is in the cluster, by metadata only: that is a fraction of a Secret's or a CRD's size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from innerloop.deploy.together import together
from innerloop.kube import discovery, objects
from innerloop.kube.client import REQUEST_SECONDS, Client
from innerloop.kube.errors import Forbidden, NotFound, UnknownKind
from innerloop.manifest import ObjectKey

Metadata = dict[str, Any]

# a server that can't (an old aggregated API) sends the whole object, which has the metadata too
ONE = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
MANY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
PAGE = 500
WORTH_A_LIST = 5
"""From so many objects of a kind on, one list is cheaper than a look at each."""


async def look(client: Client, key: ObjectKey) -> Metadata | None:
    """Metadata of an object, None when there is none or its kind is gone. Raises ApiError, ConnectionFailed."""
    try:
        resource = await discovery.resource(client, key.api_version, key.kind)
        found = await client.request_json("GET", resource.path(key.namespace, key.name), accept=ONE)
    except (NotFound, UnknownKind):
        return None
    metadata: Metadata = found["metadata"]
    return metadata


async def look_all(client: Client, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Metadata]:
    """Metadata of those of ``keys`` that exist."""
    groups: dict[tuple[str, str, str], list[ObjectKey]] = {}
    for key in keys:
        groups.setdefault((key.api_version, key.kind, key.namespace), []).append(key)
    lists = [group for group in groups.values() if len(group) >= WORTH_A_LIST]
    singles = [key for group in groups.values() if len(group) < WORTH_A_LIST for key in group]

    async def by_list(group: list[ObjectKey]) -> dict[str, Metadata] | None:
        return await _by_name(client, group[0])

    found: dict[ObjectKey, Metadata] = {}
    for group, by_name in zip(lists, await together(by_list, lists, name="list"), strict=True):
        if by_name is None:
            singles += group  # who may not list may still look at each
            continue
        found |= {key: by_name[key.name] for key in group if key.name in by_name}

    async def single(key: ObjectKey) -> Metadata | None:
        return await look(client, key)

    looks = await together(single, singles, name="look for")
    return found | {key: metadata for key, metadata in zip(singles, looks, strict=True) if metadata}


async def list_metadata(
    client: Client,
    resource: discovery.Resource,
    *,
    namespace: str = "",
    label_selector: str = "",
    timeout: float = REQUEST_SECONDS,
) -> list[Metadata]:
    """Metadata of the objects of a kind, in all namespaces where ``namespace`` is empty."""
    query: dict[str, str | int | bool] = {"limit": PAGE}
    if label_selector:
        query["labelSelector"] = label_selector
    items: list[Metadata] = []
    while True:
        answer = await client.request_json("GET", resource.path(namespace), query=query, accept=MANY, timeout=timeout)
        items += [item["metadata"] for item in answer.get("items") or []]
        query["continue"] = answer["metadata"].get("continue") or ""
        if not query["continue"]:
            return items


def made_by_us(metadata: Metadata) -> bool:
    """Whether an apply of ours has ever reached the object."""
    fields = metadata.get("managedFields") or []
    return any(one.get("manager") == objects.MANAGER and one.get("operation") == "Apply" for one in fields)


async def _by_name(client: Client, example: ObjectKey) -> dict[str, Metadata] | None:
    """The objects of a kind and namespace; None when they may not be listed."""
    try:
        resource = await discovery.resource(client, example.api_version, example.kind)
        listed = await list_metadata(client, resource, namespace=example.namespace)
    except UnknownKind:
        return {}
    except Forbidden:
        return None
    return {metadata["name"]: metadata for metadata in listed}
