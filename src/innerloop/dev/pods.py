"""Which pods and containers of a service run right now."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple

from innerloop.kube.client import Client
from innerloop.kube.watching import watch
from innerloop.manifest import TARGET_ANNOTATION
from innerloop.project import DevTarget

Pod = Mapping[str, Any]


class PodContainer(NamedTuple):
    """A container that runs; a restarted one has another ``container_id``."""

    pod: str
    uid: str
    container: str
    container_id: str
    started: str
    """RFC 3339, by the node's clock."""


async def follow_pods(
    client: Client,
    *,
    namespace: str,
    selector: str,
    target: str,
    foreign: DevTarget | None = None,
    on_pods: Callable[[list[Pod]], None] = lambda pods: None,
) -> AsyncGenerator[tuple[PodContainer, ...], None]:
    """The running containers of a dev target, oldest pod first: at once (maybe none), then at each change.

    Terminating pods count no more. The dev overlay tells on each pod which containers a target means; an empty
    ``target`` means all containers. ``foreign`` is a target whose pods have no overlay. ``on_pods`` gets all pods, also
    those that have ended, at each change. Raises what ``watch`` raises.
    """
    before: tuple[PodContainer, ...] | None = None
    async with aclosing(pods_of(client, namespace=namespace, selector=selector)) as changes:
        async for pods in changes:
            on_pods(pods)
            now = tuple(one for pod in pods for one in running_containers(pod, target, foreign))
            if now != before:
                yield now
            before = now


async def pods_of(client: Client, *, namespace: str, selector: str) -> AsyncGenerator[list[Pod], None]:
    """The pods of a selector, oldest first: at once, then at each change of any of them."""
    pods: dict[str, Pod] = {}
    synced = False
    events = watch(client, "v1", "Pod", namespace=namespace, label_selector=selector)
    async with aclosing(events):
        async for event in events:
            if event.type == "SYNCED":
                synced = True
            elif event.type == "DELETED":
                pods.pop(event.object["metadata"]["uid"], None)
            else:
                pods[event.object["metadata"]["uid"]] = event.object
            if synced:
                yield sorted(pods.values(), key=_age)


def running_containers(pod: Pod, target: str = "", foreign: DevTarget | None = None) -> list[PodContainer]:
    """The running containers of a pod that a target means; none of a terminating pod."""
    metadata = pod["metadata"]
    if is_terminating(pod):
        return []
    wanted = target_containers(pod, target) if target else None
    if foreign is not None:
        wanted = [main_container(pod, foreign.container) or ""]
    return [
        PodContainer(metadata["name"], metadata["uid"], status["name"], status["containerID"], running["startedAt"])
        for status in pod.get("status", {}).get("containerStatuses") or []
        if (running := status.get("state", {}).get("running")) and (wanted is None or status["name"] in wanted)
    ]


def target_containers(pod: Pod, target: str) -> list[str]:
    """The containers that the dev overlay's annotation names for a target (``web=app,worker=app2``)."""
    annotation = (pod["metadata"].get("annotations") or {}).get(TARGET_ANNOTATION, "")
    pairs = [pair.strip().partition("=") for pair in annotation.split(",")]
    return [container for name, _, container in pairs if name == target]


def main_container(pod: Pod, name: str | None = None) -> str | None:
    """The container that is meant in a pod of others: the named one, the pod's default, the only one; None: unclear."""
    names = [one["name"] for one in pod.get("spec", {}).get("containers") or []]
    # what kubectl goes by since 1.21
    default = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    wanted = name or default or (names[0] if len(names) == 1 else None)
    return wanted if wanted in names else None


def is_terminating(pod: Pod) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _age(pod: Pod) -> tuple[str, str]:
    # creation times have whole seconds: the name decides, so that the order is always the same
    return pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]
