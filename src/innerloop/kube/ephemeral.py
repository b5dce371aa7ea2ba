"""Containers put into a pod that already runs (stable since Kubernetes 1.25).

They stay in the pod's specification until the pod is deleted, are never restarted and can't be changed: a second
one needs another name. https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import KubeError
from innerloop.kube.watching import watch
from innerloop.manifest import ObjectKey

START_SECONDS = 120.0
"""Until the container runs; its image may have to be pulled."""

_WAITING = ("", "ContainerCreating", "PodInitializing")


class EphemeralContainerFailed(KubeError):
    """The container was put into the pod, but does not run."""


async def add_ephemeral_container(
    client: Client, namespace: str, pod: str, container: Mapping[str, Any], *, timeout: float = START_SECONDS
) -> dict[str, Any]:
    """Put a container into a pod; returns its status (``containerID``, ``state``) once it has started.

    ``container`` is an EphemeralContainer as Kubernetes spells it; adding the very same one again only waits.
    Raises NotFound (no such pod), Forbidden, Invalid (the name is taken by another one), EphemeralContainerFailed.
    """
    key = ObjectKey("v1", "Pod", namespace, pod)
    addition = {"spec": {"ephemeralContainers": [dict(container)]}}
    await objects.patch(client, key, addition, type="strategic", subresource="ephemeralcontainers")
    name, reason = str(container["name"]), "the node has not taken notice of it"
    try:
        events = watch(client, "v1", "Pod", namespace=namespace, name=pod)
        async with asyncio.timeout(timeout), aclosing(events):
            async for event in events:
                status = _status(event.object, name)
                if event.type == "DELETED":
                    raise EphemeralContainerFailed(f"pod {pod} was deleted before container {name} in it ran")
                if has_started(pod, name, status):
                    return status
                reason = _waiting(status) or reason
    except TimeoutError:
        raise EphemeralContainerFailed(f"container {name} in pod {pod} does not start", detail=reason) from None
    raise AssertionError("a watch never ends")


def _status(pod: Mapping[str, Any], name: str) -> dict[str, Any]:
    statuses: list[dict[str, Any]] = pod.get("status", {}).get("ephemeralContainerStatuses") or []
    return next((status for status in statuses if status["name"] == name), {})


def has_started(pod: str, name: str, status: Mapping[str, Any]) -> bool:
    """Whether a container's status says that it started. Raises EphemeralContainerFailed when it never will."""
    state = status.get("state") or {}
    waiting, terminated = state.get("waiting") or {}, state.get("terminated") or {}
    if waiting.get("reason", "") not in _WAITING:
        raise EphemeralContainerFailed(f"container {name} in pod {pod} cannot start", detail=_waiting(status))
    if terminated.get("exitCode"):
        ended = f"{terminated.get('reason') or 'Error'}, exit code {terminated['exitCode']}"
        detail = ": ".join(filter(None, (ended, terminated.get("message"))))
        raise EphemeralContainerFailed(f"container {name} in pod {pod} failed", detail=detail)
    return "running" in state or "terminated" in state


def _waiting(status: Mapping[str, Any]) -> str:
    waiting = (status.get("state") or {}).get("waiting") or {}
    return ": ".join(filter(None, (waiting.get("reason"), waiting.get("message"))))
