"""Volume claims that StatefulSets made for their pods: no inventory lists them, and Kubernetes keeps them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from innerloop.deploy.looking import list_metadata
from innerloop.deploy.together import together
from innerloop.kube import discovery, objects
from innerloop.kube.client import Client
from innerloop.kube.errors import ApiError
from innerloop.manifest import ObjectKey


class ClaimNames(NamedTuple):
    """The names of the claims of one StatefulSet."""

    set: ObjectKey
    pattern: re.Pattern[str]


async def claim_names(client: Client, keys: Iterable[ObjectKey]) -> list[ClaimNames]:
    """Of the StatefulSets among ``keys`` that there are; to be asked before they are removed."""

    async def of_set(key: ObjectKey) -> ClaimNames | None:
        try:
            found = await objects.get(client, key)
        except ApiError:
            return None
        # TEMPLATE-SET-ORDINAL (StatefulSet controller, all versions)
        names = [one["metadata"]["name"] for one in found["spec"].get("volumeClaimTemplates") or []]
        alternatives = "|".join(re.escape(f"{name}-{key.name}") for name in names)
        return ClaimNames(key, re.compile(rf"({alternatives})-\d+")) if names else None

    sets = [key for key in keys if key.kind == "StatefulSet"]
    return [one for one in await together(of_set, sets, name="look at") if one]


async def kept_claims(client: Client, names: Iterable[ClaimNames]) -> dict[ObjectKey, ObjectKey]:
    """The claims that are there, with the StatefulSet of each."""
    kept = {}
    resource = await discovery.resource(client, "v1", "PersistentVolumeClaim")
    for one in names:
        for metadata in await list_metadata(client, resource, namespace=one.set.namespace):
            if one.pattern.fullmatch(metadata["name"]) and not metadata.get("deletionTimestamp"):
                kept[ObjectKey("v1", "PersistentVolumeClaim", one.set.namespace, metadata["name"])] = one.set
    return kept
