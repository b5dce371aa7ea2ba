"""The API server is killed and comes back: sessions go on as if nothing had been."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from innerloop.kube import objects
from innerloop.kube.client import Client, connect
from innerloop.kube.errors import Forbidden
from tests.kube.api_server import ApiServer, api_server
from tests.kube.test_watching import config_map, take, watching
from tests.waiting import until

pytestmark = pytest.mark.cluster


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    async with api_server(tmp_path) as started:
        yield started


async def test_watches_and_requests_survive_a_restart(server: ApiServer) -> None:
    async with connect(server.admin) as admin, connect(server.robot) as robot:
        await allow_to_watch(admin)
        await until(lambda: can_list(robot), what="the robot's rights are known")
        await objects.create(admin, config_map("default", "before"))
        async with watching(robot, "default") as events:
            assert await take(events, 2) == [("ADDED", "before"), ("SYNCED", "")]
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(take(events, 2), name="watch")
                await server.kill()
                asked = tasks.create_task(
                    objects.list_all(admin, "v1", "ConfigMap", namespace="default"), name="list while it is down"
                )
                await server.start()
                await asked
                for name in ("after", "later"):
                    await objects.create(admin, config_map("default", name))
            assert waiting.result() == [("ADDED", "after"), ("ADDED", "later")]


async def can_list(client: Client) -> bool:
    try:
        await objects.list_all(client, "v1", "ConfigMap", namespace="default")
    except Forbidden:
        return False
    return True


async def allow_to_watch(client: Client) -> None:
    """Let the robot list and watch config maps."""
    rbac = "rbac.authorization.k8s.io"
    metadata = {"name": "watchers", "namespace": "default"}
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"]}]
    await objects.create(client, {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": rules})
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "watchers"},
        "subjects": [{"kind": "User", "name": "robot", "apiGroup": rbac}],
    }
    await objects.create(client, binding)
