"""Waiting until deleted objects are gone, by one watch per kind and namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing

from innerloop.deploy.looking import Metadata
from innerloop.deploy.together import together
from innerloop.kube.client import Client
from innerloop.kube.errors import NotFound, UnknownKind
from innerloop.kube.watching import watch
from innerloop.manifest import ObjectKey


async def await_gone(
    client: Client, deleting: Mapping[ObjectKey, str], deadline: float, tell: Callable[[str], None]
) -> dict[ObjectKey, str]:
    """Wait until objects (key to UID) are gone; returns what is still there at ``deadline``, and what holds it."""
    remaining: dict[ObjectKey, Metadata] = {key: {} for key in deleting}
    groups: dict[tuple[str, str, str], dict[str, ObjectKey]] = {}
    for key, uid in deleting.items():
        groups.setdefault((key.api_version, key.kind, key.namespace), {})[uid] = key

    async def follow(group: dict[str, ObjectKey]) -> None:
        await _follow_group(client, group, remaining, tell)

    try:
        async with asyncio.timeout_at(deadline):
            await together(follow, groups.values(), name="wait until gone")
    except TimeoutError:
        pass
    return {key: _what_holds(metadata) for key, metadata in remaining.items()}


async def _follow_group(
    client: Client, waiting: dict[str, ObjectKey], remaining: dict[ObjectKey, Metadata], tell: Callable[[str], None]
) -> None:
    """Follow the objects (UID to key) of one kind and namespace."""
    first = next(iter(waiting.values()))
    name = first.name if len(waiting) == 1 else ""
    seen: set[str] = set()
    try:
        events = watch(client, first.api_version, first.kind, namespace=first.namespace or None, name=name)
        async with aclosing(events):
            async for type, object in events:
                if type == "SYNCED":
                    gone = [uid for uid in waiting if uid not in seen]
                elif (uid := object["metadata"]["uid"]) not in waiting:
                    continue
                elif type == "DELETED":
                    gone = [uid]
                else:
                    seen.add(uid)
                    remaining[waiting[uid]] = object["metadata"]
                    continue
                for uid in gone:
                    del remaining[waiting.pop(uid)]
                if not waiting:
                    return
                tell(_progress(remaining))
    except (NotFound, UnknownKind):
        # the kind went, and its objects with it
        for key in waiting.values():
            del remaining[key]


def _progress(remaining: dict[ObjectKey, Metadata]) -> str:
    key, metadata = next(iter(remaining.items()))
    return f"{len(remaining)} left to go: {key}, {_what_holds(metadata)}"


def _what_holds(metadata: Metadata) -> str:
    finalizers = [name for name in metadata.get("finalizers") or [] if name != "foregroundDeletion"]
    if finalizers:
        return f"its finalizers have not been served: {', '.join(finalizers)}"
    if "foregroundDeletion" in (metadata.get("finalizers") or []):
        return "its pods are still ending"
    return "it is still ending"
