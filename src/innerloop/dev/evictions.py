"""Telling why a pod was evicted: what is synced may be what its volume had no room for."""

from __future__ import annotations

import re

from innerloop.dev.pods import Pod
from innerloop.events import Notice

_VOLUME = re.compile(r'EmptyDir volume "([^"]+)"')
"""In the kubelet's words, which also tell the limit."""


class Evictions:
    """Notices of a service's pods, each once; what was evicted before the first look is not news."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._known: set[str] | None = None

    def news(self, pods: list[Pod]) -> list[Notice]:
        evicted = {pod["metadata"]["uid"]: pod for pod in pods if pod.get("status", {}).get("reason") == "Evicted"}
        known, self._known = self._known, set(evicted)
        if known is None:
            return []
        return [_notice(self._service, pod) for uid, pod in evicted.items() if uid not in known]


def _notice(service: str, pod: Pod) -> Notice:
    why = str(pod["status"].get("message") or "the node does not say why").strip().rstrip(".")
    volume = _VOLUME.search(why)
    places = _mounted_at(pod, volume[1]) if volume else ""
    hint = "raise its sizeLimit, or sync less to it (exclude)" if volume else ""
    return Notice(
        level="error",
        message=f"{service}: {pod['metadata']['name']} was evicted: {why}{places and f', which is at {places}'}",
        hint=hint or "kubectl describe tells more of the pod and its node",
    )


def _mounted_at(pod: Pod, volume: str) -> str:
    containers = pod["spec"].get("containers") or []
    mounts = [mount for container in containers for mount in container.get("volumeMounts") or []]
    return ", ".join(sorted({mount["mountPath"] for mount in mounts if mount["name"] == volume}))
