"""Small real pods for tests."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.watching import watch
from innerloop.manifest import ObjectKey

PYTHON = "docker.io/library/python:3.12-slim"
BUSYBOX = "docker.io/library/busybox:1.36"
SLEEP = ("sleep", "100000")


def container(name: str, command: Sequence[str] = SLEEP, image: str = BUSYBOX, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": image, "command": list(command), **more}


def pod(
    namespace: str,
    name: str,
    containers: Sequence[Mapping[str, Any]],
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """The manifest of a pod that goes without waiting when it is deleted."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": dict(labels or {}),
        "annotations": dict(annotations or {}),
    }
    spec = {"terminationGracePeriodSeconds": 0, "containers": [dict(one) for one in containers], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


async def start(client: Client, manifest: dict[str, Any]) -> dict[str, Any]:
    """Create a pod and wait until it is ready; returns its last state."""
    await objects.create(client, manifest)
    return await ready(client, manifest["metadata"]["namespace"], manifest["metadata"]["name"])


async def start_without_waiting(client: Client, manifest: dict[str, Any]) -> None:
    await objects.create(client, manifest)


async def container_state(client: Client, namespace: str, name: str, container: str, state: str) -> None:
    """Return once a container is ``running``, ``waiting`` or ``terminated``."""
    async with asyncio.timeout(60), aclosing(watch(client, "v1", "Pod", namespace=namespace, name=name)) as events:
        async for event in events:
            statuses = event.object.get("status", {}).get("containerStatuses") or []
            if any(one["name"] == container and state in one["state"] for one in statuses):
                return


async def ready(client: Client, namespace: str, name: str) -> dict[str, Any]:
    """The pod once it is ready."""
    async with asyncio.timeout(60), aclosing(watch(client, "v1", "Pod", namespace=namespace, name=name)) as events:
        async for event in events:
            conditions = event.object.get("status", {}).get("conditions") or []
            if any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
                return event.object
    raise AssertionError("a watch never ends")


async def remove(client: Client, namespace: str, name: str) -> None:
    """Delete a pod at once."""
    await objects.delete(client, ObjectKey("v1", "Pod", namespace, name), grace_seconds=0)


@asynccontextmanager
async def fresh_namespace(client: Client) -> AsyncIterator[str]:
    """A namespace for all tests of a module, removed afterwards without waiting."""
    name = f"test-{secrets.token_hex(4)}"
    await objects.create(client, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        yield name
    finally:
        await objects.delete(client, ObjectKey("v1", "Namespace", "", name))
