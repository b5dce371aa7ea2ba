"""Pods that the project does not deploy, found by a target's selector."""

from __future__ import annotations

import pytest

from innerloop.engine.foreign import find_foreign
from innerloop.errors import LoopError
from innerloop.kube.client import Client
from innerloop.project import DevTarget
from tests.kube import pods

pytestmark = pytest.mark.cluster


def target(**fields: str) -> DevTarget:
    return DevTarget(name="web", selector={"app": "theirs"}, **fields)  # type: ignore[arg-type] # keywords of the test


async def test_no_such_pod_is_told_with_what_the_manifests_have(client: Client, namespace: str) -> None:
    with pytest.raises(LoopError, match=f"nor a pod in {namespace} has the labels app=theirs") as told:
        await find_foreign(client, target(), namespace, [])
    assert told.value.detail


async def test_the_container_is_the_named_one_or_has_to_be_named(client: Client, namespace: str) -> None:
    containers = [pods.container("app"), pods.container("side")]
    await pods.start(client, pods.pod(namespace, "theirs", containers, labels={"app": "theirs"}))
    with pytest.raises(LoopError, match="pod theirs has several containers: app, side"):
        await find_foreign(client, target(), namespace, [])
    with pytest.raises(LoopError, match="pod theirs has no container other: app, side"):
        await find_foreign(client, target(container="other"), namespace, [])
    assert (await find_foreign(client, target(container="side"), namespace, [])).targets == ("web",)
