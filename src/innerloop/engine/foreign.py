"""Developing pods that the project does not deploy: a target's selector finds them in the namespace."""

from __future__ import annotations

from collections.abc import Sequence

from innerloop.dev.matching import describe
from innerloop.dev.pods import is_terminating, main_container
from innerloop.engine.workloads import Workload, foreign_workload
from innerloop.errors import LoopError
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.manifest import Manifest
from innerloop.project import DevTarget


async def find_foreign(client: Client, target: DevTarget, namespace: str, manifests: Sequence[Manifest]) -> Workload:
    """The pods that a target's selector means. They are only synced to, forwarded and listened to, never changed.

    Raises LoopError when there is none, or when it is not clear which of their containers is meant.
    """
    found = foreign_workload(target, namespace)
    if not await check_foreign(client, target, found):
        raise LoopError(
            f"dev.{target.name}: neither a workload of the manifests nor a pod in {namespace} has the labels"
            f" {found.selector}",
            detail=describe(manifests),
            hint=f"dev.{target.name}.selector needs the labels of pods, as kubectl get pods --show-labels tells them",
        )
    return found


async def check_foreign(client: Client, target: DevTarget, found: Workload) -> bool:
    """Whether there is any of a target's pods. Raises LoopError when it is not clear which container is meant."""
    namespace = found.key.namespace
    pods, _ = await objects.list_all(client, "v1", "Pod", namespace=namespace, label_selector=found.selector)
    alive = [pod for pod in pods if not is_terminating(pod)]
    for pod in alive:
        if main_container(pod, target.container) is None:
            names = ", ".join(one["name"] for one in pod["spec"]["containers"])
            wanted = f"has no container {target.container}" if target.container else "has several containers"
            raise LoopError(
                f"dev.{target.name}: pod {pod['metadata']['name']} {wanted}: {names}",
                hint=f"say which one by dev.{target.name}.container",
            )
    return bool(alive)
