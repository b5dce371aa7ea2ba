"""Which containers of a service run right now."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from innerloop.dev.pods import PodContainer, follow_pods, main_container, running_containers, target_containers
from innerloop.kube import execution
from innerloop.kube.client import Client
from innerloop.project import DevTarget
from tests.kube import pods

Following = AsyncGenerator[tuple[PodContainer, ...], None]


def _pod(**metadata: Any) -> dict[str, Any]:
    def running(name: str) -> dict[str, Any]:
        return {"name": name, "containerID": f"x://{name}", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}

    waiting = {"name": "late", "state": {"waiting": {"reason": "ContainerCreating"}}}
    return {
        "metadata": {"name": "p", "uid": "u", **metadata},
        "status": {"containerStatuses": [running("app"), running("side"), waiting]},
    }


def test_only_containers_that_run_count() -> None:
    assert [one.container for one in running_containers(_pod())] == ["app", "side"]


def test_terminating_pod_counts_no_more() -> None:
    assert running_containers(_pod(deletionTimestamp="2026-01-01T00:00:00Z")) == []


def test_annotation_tells_the_target_s_containers() -> None:
    pod = _pod(annotations={"innerloop.dev/target": "web=app, worker=side,web=late"})
    assert target_containers(pod, "web") == ["app", "late"]
    assert [one.container for one in running_containers(pod, "worker")] == ["side"]


def test_pod_without_annotation_has_nothing_of_a_target() -> None:
    assert running_containers(_pod(), "web") == []


def test_pod_without_status_has_no_containers() -> None:
    assert running_containers({"metadata": {"name": "p", "uid": "u"}}) == []


@pytest.mark.parametrize(
    ("names", "annotations", "named", "meant"),
    [
        (["app"], {}, None, "app"),
        (["app", "side"], {}, None, None),
        (["app", "side"], {}, "side", "side"),
        (["app", "side"], {}, "other", None),
        (["app", "side"], {"kubectl.kubernetes.io/default-container": "side"}, None, "side"),
    ],
)
def test_the_container_that_is_meant_in_a_pod_of_others(
    names: list[str], annotations: dict[str, str], named: str | None, meant: str | None
) -> None:
    pod = {**_pod(annotations=annotations), "spec": {"containers": [{"name": name} for name in names]}}
    assert main_container(pod, named) == meant


def test_a_pod_of_others_needs_no_annotation() -> None:
    pod = {**_pod(), "spec": {"containers": [{"name": "app"}, {"name": "side"}]}}
    found = running_containers(pod, "web", DevTarget(name="web", selector={"app": "a"}, container="side"))
    assert [one.container for one in found] == ["side"]


@pytest.mark.cluster
async def test_following_tells_start_restart_and_deletion(client: Client, namespace: str) -> None:
    async with aclosing(follow_pods(client, namespace=namespace, selector="app=a", target="web")) as following:
        assert await anext(following) == ()
        note = {"innerloop.dev/target": "web=app"}
        containers = [pods.container("app", ["sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"])]
        containers.append(pods.container("side"))
        await pods.start(client, pods.pod(namespace, "one", containers, labels={"app": "a"}, annotations=note))
        first = await _until_count(following, 1)
        assert (first[0].pod, first[0].container) == ("one", "app")

        await execution.run(client, namespace, "one", "app", ["kill", "1"])
        assert await _until_count(following, 0) == ()
        again = await _until_count(following, 1)
        assert again[0].uid == first[0].uid
        assert again[0].container_id != first[0].container_id

        await pods.remove(client, namespace, "one")
        assert await _until_count(following, 0) == ()


async def _until_count(following: Following, count: int) -> tuple[PodContainer, ...]:
    async for running in following:
        if len(running) == count:
            return running
    raise AssertionError("following ended")
