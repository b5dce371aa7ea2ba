"""A single look at what goes on around objects that are not ready, where nobody watches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from innerloop.deploy.status import status
from innerloop.deploy.surroundings import Surroundings
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import Forbidden

KINDS = (("v1", "Pod"), ("apps/v1", "ReplicaSet"), ("v1", "Event"))


async def look_around(client: Client, live: Iterable[dict[str, Any]]) -> Surroundings:
    """What tells why some of the objects are not ready; nothing is asked for where all are.

    Raises ApiError, ConnectionFailed.
    """
    surroundings = Surroundings()
    ill = [one for one in live if status(one).state != "ready"]
    for namespace in sorted({one["metadata"].get("namespace", "") for one in ill} - {""}):
        for api_version, kind in KINDS:
            try:
                found, _ = await objects.list_all(client, api_version, kind, namespace=namespace)
            except Forbidden:
                continue  # whether objects are ready is told without, only not why
            for object in found:
                list(surroundings.feed("ADDED", {"apiVersion": api_version, "kind": kind, **object}))
    return surroundings
