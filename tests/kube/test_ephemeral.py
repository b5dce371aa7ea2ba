"""Containers put into a running pod."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from innerloop.kube.client import Client
from innerloop.kube.ephemeral import EphemeralContainerFailed, add_ephemeral_container, has_started
from innerloop.kube.errors import Invalid, NotFound
from innerloop.kube.execution import run
from tests.kube import pods

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
async def box(client: Client) -> AsyncIterator[str]:
    """The namespace of pod ``box`` with container ``app``."""
    async with pods.fresh_namespace(client) as namespace:
        await pods.start(client, pods.pod(namespace, "box", [pods.container("app")]))
        yield namespace


async def test_container_runs_beside_the_others(client: Client, box: str) -> None:
    added = pods.container("debug", targetContainerName="app")
    status = await add_ephemeral_container(client, box, "box", added)
    assert "running" in status["state"]
    assert (await run(client, box, "box", "debug", ["cat", "/proc/1/comm"])).stdout == b"sleep\n"


async def test_adding_it_again_only_waits(client: Client, box: str) -> None:
    added = pods.container("twice")
    first = await add_ephemeral_container(client, box, "box", added)
    second = await add_ephemeral_container(client, box, "box", added)
    assert first["containerID"] == second["containerID"]


async def test_name_that_is_taken(client: Client, box: str) -> None:
    await add_ephemeral_container(client, box, "box", pods.container("taken"))
    with pytest.raises(Invalid, match=r"may not be changed|existing ephemeral containers"):
        await add_ephemeral_container(client, box, "box", pods.container("taken", ["sleep", "1"]))


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerError"])
def test_image_that_cannot_be_had(reason: str) -> None:
    status = {"name": "debug", "state": {"waiting": {"reason": reason, "message": "no such host"}}}
    with pytest.raises(EphemeralContainerFailed, match="container debug in pod box cannot start") as caught:
        has_started("box", "debug", status)
    assert caught.value.detail == f"{reason}: no such host"


async def test_program_that_is_not_there(client: Client, box: str) -> None:
    with pytest.raises(EphemeralContainerFailed, match="container broken in pod box") as caught:
        await add_ephemeral_container(client, box, "box", pods.container("broken", ["nope"]))
    assert "executable file not found" in (caught.value.detail or "")


async def test_no_such_pod(client: Client, box: str) -> None:
    with pytest.raises(NotFound):
        await add_ephemeral_container(client, box, "nope", pods.container("debug"))


async def test_pod_that_nothing_starts_in(client: Client, namespace: str) -> None:
    manifest = pods.pod(namespace, "pending", [pods.container("app")], nodeSelector={"no": "such"})
    await pods.start_without_waiting(client, manifest)
    with pytest.raises(EphemeralContainerFailed, match="does not start"):
        await add_ephemeral_container(client, namespace, "pending", pods.container("debug"), timeout=0.5)


async def test_pod_deleted_meanwhile(client: Client, namespace: str) -> None:
    manifest = pods.pod(namespace, "gone", [pods.container("app")], nodeSelector={"no": "such"})
    await pods.start_without_waiting(client, manifest)
    async with asyncio.TaskGroup() as tasks:
        adding = tasks.create_task(_failure_of_adding(client, namespace, "gone"), name="add")
        await asyncio.sleep(0.5)
        await pods.remove(client, namespace, "gone")
    assert "was deleted" in adding.result()


async def _failure_of_adding(client: Client, namespace: str, pod: str) -> str:
    with pytest.raises(EphemeralContainerFailed) as caught:
        await add_ephemeral_container(client, namespace, pod, pods.container("debug"), timeout=30)
    return caught.value.message
