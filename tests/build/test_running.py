"""From a Dockerfile to a pod that runs what it built."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from innerloop.build.destination import Destination, Push, destination
from innerloop.kube import logs, objects
from innerloop.kube.client import Client
from innerloop.manifest import ObjectKey
from tests.build.conftest import Shop
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("needs_buildah")]


@pytest.fixture(scope="session")
async def where(client: Client) -> AsyncIterator[Destination]:
    """Where the cluster of the tests wants its images; asked for before a test has a home of its own."""
    if "INNERLOOP_TEST_KUBECONFIG" in os.environ:
        pytest.skip("the given cluster need not have a registry")
    yield await destination(client, client.access.context)


def test_the_built_in_cluster_has_a_registry_with_base_images(where: Destination) -> None:
    assert isinstance(where, Push) and where.mirror
    assert where.mirror.host == where.prefix


async def test_a_pod_runs_what_was_built_on_a_base_image(
    where: Destination, client: Client, namespace: str, shop: Shop
) -> None:
    shop.write("Dockerfile", 'FROM busybox:1.36\nCOPY serve /serve\nCMD ["cat", "/serve"]\n')
    built = await shop.build(where)
    key = ObjectKey("v1", "Pod", namespace, "web")
    container = {"name": "web", "image": built.reference}
    await objects.create(
        client,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": key.name, "namespace": namespace},
            "spec": {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 0},
        },
    )

    async def ended() -> bool:
        return bool((await objects.get(client, key))["status"].get("phase") == "Succeeded")

    await until(ended, timeout=60)
    lines = [line async for line in logs.follow(client, namespace, "web", "web", follow=False, timestamps=False)]
    assert lines == [b"#!/bin/true"]
