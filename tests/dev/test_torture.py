"""No edit is lost, torn or out of order, whatever happens in the middle of many."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
import pytest

from innerloop.dev.pods import PodContainer
from innerloop.kube import objects
from innerloop.kube.client import Client, connect
from innerloop.manifest import ObjectKey
from tests.dev.conftest import Start
from tests.dev.faults import kill_container, paused, signal_receivers
from tests.dev.service import Service
from tests.dev.torture import Load, checked
from tests.kube import pods
from tests.kube.loopback import Relay, relayed
from tests.waiting import until

pytestmark = pytest.mark.cluster

CONVERGED_SECONDS = 30.0


async def test_a_thousand_saves_arrive_whole_and_in_order(start: Start) -> None:
    service = await start()
    (container,) = service.containers
    async with checked(service, container) as seen:
        await Load(service.local, saves=1000, seconds=12).run()
        await service.settle()
    assert seen["wrong"] == []
    assert seen["reads"] > 1000


async def endure(service: Service, fault: Callable[[], Awaitable[object]]) -> None:
    """Saves with a fault in the middle, over and over; then all arrives, without any help."""
    load = Load(service.local, saves=400, seconds=4)
    async with asyncio.TaskGroup() as tasks:
        saving = tasks.create_task(load.run(), name="save")
        while not saving.done():
            await asyncio.wait([saving], timeout=random.uniform(0.1, 0.6))
            await fault()
    await service.settle(timeout=CONVERGED_SECONDS)


async def test_killed_receivers_lose_nothing(start: Start) -> None:
    service = await start()
    (container,) = service.containers
    async with checked(service, container) as seen:
        await endure(service, lambda: service.run(container, *signal_receivers(signal.SIGKILL)))
    assert seen["wrong"] == []


class Line(NamedTuple):
    client: Client
    relay: Relay
    """The client's connections go through it."""


@pytest.fixture
async def line(client: Client) -> AsyncIterator[Line]:
    async with relayed(client.access) as relay:
        there = urlsplit(client.access.server).hostname
        server = f"https://{relay.host}:{relay.port}"
        async with connect(msgspec.structs.replace(client.access, server=server, server_name=there)) as through:
            yield Line(through, relay)


async def test_cut_connections_lose_nothing(start: Start, line: Line) -> None:
    service = await start(through=line.client)
    (container,) = service.containers

    async def cut() -> None:
        line.relay.cut()

    async with checked(service, container) as seen:
        await endure(service, cut)
    assert seen["wrong"] == []


async def test_paused_containers_lose_nothing(start: Start) -> None:
    service = await start()
    (container,) = service.containers

    async def pause() -> None:
        with paused(container):
            await asyncio.sleep(random.uniform(0.05, 0.5))

    async with checked(service, container) as seen:
        await endure(service, pause)
    assert seen["wrong"] == []


async def test_a_deleted_pod_loses_nothing(start: Start, client: Client) -> None:
    service = await start()

    async def delete() -> None:
        former = service.containers
        for container in former:
            await objects.delete(client, ObjectKey("v1", "Pod", service.namespace, container.pod), grace_seconds=0)
        await until(lambda: set(service.containers).isdisjoint(former), timeout=30)

    await endure(service, delete)


async def test_a_killed_container_loses_nothing_and_leaves_nothing(start: Start) -> None:
    """The folder is in a volume, which outlives the container."""
    web = pods.container("web", ["python", "/app/server.py"], pods.PYTHON)
    mount = {"volumeMounts": [{"name": "app", "mountPath": "/app"}]}
    service = await start({**web, **mount}, volumes=[{"name": "app", "emptyDir": {}}])
    killed: list[PodContainer] = []

    async def kill() -> None:
        # once: the kubelet waits 10 s before it starts a container for the second time
        if not killed:
            killed.extend(service.containers)
            kill_container(killed[0])
            await until(lambda: killed[0] not in service.containers, timeout=30)

    await endure(service, kill)


async def test_lost_events_of_the_watcher_lose_nothing(start: Start) -> None:
    service = await start()
    (container,) = service.containers
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())

    async def overflow() -> None:
        # equal events in a row would be one; nobody takes them while this does not wait
        for number in range(limit + 100):
            os.utime(service.local / ("server.py" if number % 2 else ".other"))

    (service.local / ".other").touch()
    async with checked(service, container) as seen:
        await endure(service, overflow)
    assert seen["wrong"] == []
