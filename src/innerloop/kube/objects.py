"""Reading and writing single objects."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Literal

from innerloop.kube.client import Client
from innerloop.kube.discovery import resource
from innerloop.kube.errors import KubeError, NotFound, UnknownKind
from innerloop.kube.listing import list_all
from innerloop.kube.watching import watch
from innerloop.manifest import ObjectKey

__all__ = ["StillThere", "apply", "create", "delete", "get", "list_all", "patch", "wait_deleted"]

MANAGER = "innerloop"
"""Our name among the field managers."""

PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}


class StillThere(KubeError):
    """An object was not gone in time."""


async def get(client: Client, key: ObjectKey) -> dict[str, Any]:
    """The object. Raises NotFound, UnknownKind, other ApiErrors, ConnectionFailed, as all here do.

    An empty namespace in ``key`` means that of the context, for kinds that have one.
    """
    found: dict[str, Any] = await client.request_json("GET", await _path(client, key))
    return found


async def create(
    client: Client, obj: dict[str, Any], *, manager: str = MANAGER, dry_run: bool = False
) -> dict[str, Any]:
    """The object as the server made it. Raises Conflict (reason ``AlreadyExists``) when it is there."""
    collection = await _path(client, _key(obj)._replace(name=""))
    query = {"fieldManager": manager} | ({"dryRun": "All"} if dry_run else {})
    made: dict[str, Any] = await client.request_json("POST", collection, query=query, body=obj)
    return made


async def apply(
    client: Client, obj: dict[str, Any], *, manager: str = MANAGER, force: bool = False, dry_run: bool = False
) -> dict[str, Any]:
    """Server-side apply (Kubernetes 1.22): creates or changes the object so that it has the fields of ``obj``.

    Raises Conflict, with ``.conflicts``, when others own some of them and ``force`` does not take them over.
    Unknown fields come as warnings (see ``connect``).
    """
    query: dict[str, str | int | bool] = {"fieldManager": manager, "force": force}
    if dry_run:
        query["dryRun"] = "All"
    applied: dict[str, Any] = await client.request_json(
        "PATCH",
        await _path(client, _key(obj)),
        query=query,
        body=obj,
        # JSON is YAML; the type application/apply-patch+json only exists behind a gate
        content_type="application/apply-patch+yaml",
        repeatable=True,
    )
    return applied


async def patch(
    client: Client,
    key: ObjectKey,
    patch: Any,
    *,
    type: Literal["merge", "json", "strategic"] = "merge",
    subresource: str = "",
    manager: str = MANAGER,
) -> dict[str, Any]:
    """The object after ``patch``; ``strategic`` only works for built-in kinds."""
    patched: dict[str, Any] = await client.request_json(
        "PATCH",
        await _path(client, key, subresource),
        query={"fieldManager": manager},
        body=patch,
        content_type=PATCH_TYPES[type],
        repeatable=type != "json",
    )
    return patched


async def delete(
    client: Client,
    key: ObjectKey,
    *,
    propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
    uid: str | None = None,
    resource_version: str | None = None,
    grace_seconds: int | None = None,
) -> None:
    """Ask for the object's deletion; see ``wait_deleted``.

    Raises NotFound when there is none, Conflict when it is another object than ``uid``, or was changed since
    ``resource_version``.
    """
    options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
    conditions = {"uid": uid, "resourceVersion": resource_version}
    if told := {name: value for name, value in conditions.items() if value is not None}:
        options["preconditions"] = told
    if grace_seconds is not None:
        options["gracePeriodSeconds"] = grace_seconds
    await client.request_json("DELETE", await _path(client, key), body=options)


async def wait_deleted(client: Client, key: ObjectKey, *, uid: str | None = None, timeout: float) -> None:
    """Return once the object (of this ``uid``) is gone.

    Raises StillThere after ``timeout`` seconds, telling what holds it.
    """
    last: dict[str, Any] | None = None
    namespace = key.namespace or client.access.namespace
    try:
        async with asyncio.timeout(timeout):
            async with aclosing(watch(client, key.api_version, key.kind, namespace=namespace, name=key.name)) as events:
                async for type, object in events:
                    if type != "SYNCED" and uid in (None, object["metadata"]["uid"]):
                        last = None if type == "DELETED" else object
                    if last is None and type in ("SYNCED", "DELETED"):
                        return
    except (NotFound, UnknownKind):
        # its kind was removed, and it with that
        return
    except TimeoutError as error:
        raise _still_there(key, last, timeout) from error


def _still_there(key: ObjectKey, last: Mapping[str, Any] | None, timeout: float) -> StillThere:
    metadata = last["metadata"] if last else {}
    message = f"{key} in {key.namespace} is" if key.namespace else f"{key} is"
    message += f" still there after {timeout:g} s"
    if last is not None and "deletionTimestamp" not in metadata:
        return StillThere(message, detail="nobody deleted it")
    finalizers = ", ".join(metadata.get("finalizers") or [])
    return StillThere(
        message,
        detail=f"it waits for its finalizers: {finalizers}" if finalizers else None,
        hint="see that the controllers behind the finalizers run" if finalizers else None,
    )


def _key(obj: Mapping[str, Any]) -> ObjectKey:
    metadata = obj.get("metadata") or {}
    return ObjectKey(obj["apiVersion"], obj["kind"], metadata.get("namespace") or "", metadata.get("name") or "")


async def _path(client: Client, key: ObjectKey, subresource: str = "") -> str:
    found = await resource(client, key.api_version, key.kind)
    return found.path(key.namespace or client.access.namespace, key.name, subresource)
