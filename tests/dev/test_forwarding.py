"""Local ports that lead to wherever a service runs now."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import pytest

from innerloop.dev import forwarding
from innerloop.dev.forwarding import best_target, forward
from innerloop.dev.restarts import Restarts
from innerloop.errors import LoopError
from innerloop.events import Event, Forwarding, ProcessState
from innerloop.kube.access import Impersonation
from innerloop.kube.client import Client, connect
from innerloop.kube.errors import Forbidden
from innerloop.kube.execution import run
from innerloop.project import PortForward
from tests.kube import pods, servers
from tests.kube.loopback import relayed
from tests.waiting import until

MEGABYTE = 1 << 20


class Running(NamedTuple):
    """A running forward."""

    port: int
    events: list[Event]

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(event.state, event.pod) for event in self.events if isinstance(event, Forwarding)]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, message: bytes = b"") -> bytes:
        """The first line that a connection brings, after sending ``message``."""
        reader, writer = await self.connect()
        writer.write(message)
        line = await reader.readline()
        writer.close()
        return line


@asynccontextmanager
async def forwarded(
    client: Client, namespace: str, selector: str, remote: int, restarts: Restarts | None = None
) -> AsyncIterator[Running]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    events: list[Event] = []
    work = forward(
        client,
        service="web",
        namespace=namespace,
        selector=selector,
        ports=[PortForward(local=port, remote=remote)],
        emit=events.append,
        restarts=restarts,
    )
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work, name="forward")
        await asyncio.sleep(0)
        yield Running(port, events)
        task.cancel()


def server_pod(namespace: str, name: str, label: str, *, delay: float = 0.0, probe: bool = True) -> dict[str, Any]:
    more: dict[str, Any] = {"readinessProbe": servers.ready_probe()} if probe else {}
    return pods.pod(namespace, name, [servers.server(delay=delay, **more)], labels={"app": label})


@pytest.fixture(scope="module")
async def box(client: Client) -> AsyncIterator[str]:
    """The namespace of pod ``box`` (``app=box``) with the servers."""
    async with pods.fresh_namespace(client) as namespace:
        await pods.start(client, server_pod(namespace, "box", "box"))
        yield namespace


def _pod(name: str, *, ready: bool = True, phase: str = "Running", **metadata: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": {"name": name, "uid": name, **metadata}, "status": {"phase": phase, "conditions": conditions}}


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ([], None),
        ([_pod("old"), _pod("new")], "new"),
        ([_pod("old"), _pod("starting", ready=False)], "old"),
        ([_pod("a", ready=False), _pod("b", ready=False)], "b"),
        ([_pod("old", deletionTimestamp="now"), _pod("pending", phase="Pending")], None),
        ([{"metadata": {"name": "fresh", "uid": "u"}}], None),
    ],
)
def test_connections_go_to_the_newest_ready_pod(given: list[dict[str, Any]], chosen: str | None) -> None:
    target = best_target(given)
    assert (target.name if target else None) == chosen


@pytest.mark.cluster
async def test_connection_reaches_the_pod(client: Client, box: str) -> None:
    async with forwarded(client, box, "app=box", servers.NAME) as running:
        assert await running.ask() == b"box\n"
    assert running.states == [("up", "box")]


@pytest.mark.cluster
async def test_many_connections_at_once(client: Client, box: str) -> None:
    async def echo(number: int) -> None:
        reader, writer = await running.connect()
        data = bytes([number]) * (200_000 + number)
        writer.write(data)
        assert await reader.readexactly(len(data)) == data
        writer.close()

    async with forwarded(client, box, "app=box", servers.ECHO) as running, asyncio.TaskGroup() as tasks:
        for number in range(60):
            tasks.create_task(echo(number), name=f"echo {number}")


@pytest.mark.cluster
async def test_end_comes_after_all_bytes(client: Client, box: str) -> None:
    async with forwarded(client, box, "app=box", servers.SOURCE) as running:
        reader, writer = await running.connect()
        writer.write(b"%d\n" % (5 * MEGABYTE))
        assert len(await reader.read(-1)) == 5 * MEGABYTE
        writer.close()


@pytest.mark.cluster
async def test_answer_reaches_a_client_that_has_no_more_to_say(client: Client, box: str) -> None:
    async with forwarded(client, box, "app=box", servers.SINK) as running:
        reader, writer = await running.connect()
        writer.write(b"%d\n2\n" % MEGABYTE + bytes(MEGABYTE))
        writer.write_eof()
        assert await reader.readexactly(4) == b"done"
        writer.close()


@pytest.mark.cluster
async def test_pod_notices_a_client_that_left(client: Client, box: str) -> None:
    async def count() -> int:
        counting = ["sh", "-c", f"grep -c ':{servers.NAME:04X} [0-9A-F]*:[0-9A-F]* 01' /proc/net/tcp"]
        return int((await run(client, box, "box", "app", counting)).stdout)

    async def is_one() -> bool:
        return await count() == 1

    async def is_none() -> bool:
        return await count() == 0

    async with forwarded(client, box, "app=box", servers.NAME) as running:
        reader, writer = await running.connect()
        await reader.readline()
        await until(is_one)
        writer.close()
        await until(is_none, timeout=10)


@pytest.mark.cluster
async def test_broken_connection_is_no_end(client: Client, box: str) -> None:
    async with forwarded(client, box, "app=box", servers.RESET) as running:
        reader, writer = await running.connect()
        writer.write(b"x")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


@pytest.mark.cluster
async def test_following_to_the_new_pod(client: Client, namespace: str) -> None:
    await pods.start(client, server_pod(namespace, "first", "web"))
    async with forwarded(client, namespace, "app=web", servers.NAME) as running:
        reader, writer = await running.connect()
        assert await reader.readline() == b"first\n"

        await pods.start(client, server_pod(namespace, "second", "web"))
        await until(lambda: ("up", "second") in running.states)
        assert await running.ask() == b"second\n"
        # the old connection lives as long as its pod
        writer.write(b"still there\n")
        assert await reader.readline() == b"still there\n"

        await pods.remove(client, namespace, "first")
        with suppress(ConnectionResetError):
            async with asyncio.timeout(10):
                assert await reader.read() == b""
        writer.close()

        await pods.remove(client, namespace, "second")
        await until(lambda: running.states[-1] == ("waiting", ""))
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(running.ask(), name="ask")
            await pods.start(client, server_pod(namespace, "third", "web"))
        assert asking.result() == b"third\n"
    told = [state for state in running.states if state not in (("waiting", "second"), ("waiting", "third"))]
    assert told == [("up", "first"), ("up", "second"), ("waiting", ""), ("up", "third")]


@pytest.mark.cluster
async def test_client_that_comes_too_early_loses_nothing(client: Client, namespace: str) -> None:
    await pods.start(client, server_pod(namespace, "slow", "web", delay=2, probe=False))
    async with forwarded(client, namespace, "app=web", servers.ECHO) as running:
        assert await running.ask(b"said before anybody listened\n") == b"said before anybody listened\n"
    assert ("waiting", "slow") in running.states
    assert running.states[-1] == ("up", "slow")


@pytest.mark.cluster
async def test_patience_ends(client: Client, box: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "PATIENCE_SECONDS", 0.5)
    for selector in ("app=none", "app=box"):
        async with forwarded(client, box, selector, 9) as running:
            with pytest.raises(ConnectionResetError):
                await running.ask(b"x")
    assert running.events[-1] == Forwarding(
        service="web",
        address="127.0.0.1",
        local=running.port,
        remote=9,
        state="waiting",
        pod="box",
        message="nothing listens on port 9 in pod box",
    )


@pytest.mark.cluster
async def test_cut_connection_breaks_and_the_next_one_works(client: Client, box: str) -> None:
    name = client.access.server_name or urlsplit(client.access.server).hostname
    async with relayed(client.access) as relay:
        access = msgspec.structs.replace(client.access, server=f"https://{relay.host}:{relay.port}", server_name=name)
        async with connect(access) as other, forwarded(other, box, "app=box", servers.NAME) as running:
            reader, writer = await running.connect()
            assert await reader.readline() == b"box\n"
            relay.cut()
            with pytest.raises(ConnectionResetError):
                await reader.readline()
            writer.close()
            assert await running.ask() == b"box\n"


@pytest.mark.cluster
async def test_port_in_use_is_told_at_once(client: Client, box: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = [PortForward(local=port, remote=80)]
        with pytest.raises(LoopError, match=rf"port {port} on 127.0.0.1 is in use by .*\(process {os.getpid()}\)"):
            await forward(client, service="web", namespace=box, selector="a=b", ports=ports, emit=lambda event: None)


@pytest.mark.cluster
async def test_without_rights_to_see_pods(client: Client, box: str) -> None:
    access = msgspec.structs.replace(client.access, impersonate=Impersonation("nobody"))
    ports = [PortForward(local=0, remote=80)]
    async with connect(access) as nobody:
        with pytest.raises(Forbidden):
            await forward(nobody, service="web", namespace=box, selector="a=b", ports=ports, emit=lambda event: None)


def restart(restarts: Restarts, pod: str) -> None:
    for state in ("restarting", "running"):
        restarts(ProcessState(service="web", pod=pod, container="app", state=state))


@pytest.mark.cluster
async def test_connections_of_a_replaced_process_end(client: Client, box: str) -> None:
    restarts = Restarts()
    async with forwarded(client, box, "app=box", servers.ECHO, restarts) as running, asyncio.timeout(20):
        reader, writer = await running.connect()
        writer.write(b"here\n")
        assert await reader.readline() == b"here\n"
        restart(restarts, "box")
        assert await reader.read() == b""
        writer.close()


@pytest.mark.cluster
async def test_another_container_of_the_pod_keeps_its_connections(client: Client, box: str) -> None:
    beside = pods.container("beside", ["sleep", "1000"])
    both = pods.pod(box, "both", [servers.server(readinessProbe=servers.ready_probe()), beside], labels={"app": "both"})
    await pods.start(client, both)
    restarts = Restarts()
    async with forwarded(client, box, "app=both", servers.ECHO, restarts) as running, asyncio.timeout(20):
        reader, writer = await running.connect()
        # a second one, later: what ends connections had its time
        for line in (b"before\n", b"after\n", b"long after\n"):
            writer.write(line)
            assert await reader.readline() == line
            restart(restarts, "both")
        writer.close()
