"""Tunnels to a pod are kept: what is reused, what is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from innerloop.kube import tunnelling
from innerloop.kube.client import Client, connect
from innerloop.kube.errors import ConnectionFailed
from innerloop.kube.execution import run
from innerloop.kube.port_forward import PortForwardError
from innerloop.kube.tunnels import Tunnels
from tests.kube import pods, servers
from tests.kube.loopback import Relay, relayed
from tests.waiting import until

pytestmark = pytest.mark.cluster

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
async def box(client: Client) -> AsyncIterator[str]:
    """The namespace of pod ``box`` with the servers."""
    async with pods.fresh_namespace(client) as namespace:
        container = servers.server(readinessProbe=servers.ready_probe())
        await pods.start(client, pods.pod(namespace, "box", [container]))
        yield namespace


@asynccontextmanager
async def counted(client: Client, namespace: str) -> AsyncIterator[tuple[Tunnels, Relay]]:
    """Tunnels to ``box`` through a relay, which counts connections."""
    name = client.access.server_name or urlsplit(client.access.server).hostname
    async with relayed(client.access) as relay:
        access = msgspec.structs.replace(client.access, server=f"https://{relay.host}:{relay.port}", server_name=name)
        async with connect(access) as other, asyncio.TaskGroup() as tasks:
            tunnels = Tunnels(other, namespace, "box", tasks)
            yield tunnels, relay
            tunnels.close()


async def echo(tunnels: Tunnels, data: bytes = b"hello") -> None:
    async with tunnels.open_connection(servers.ECHO) as stream:
        await stream.write(data)
        received = b""
        while len(received) < len(data):
            received += await stream.read()
        assert received == data
        await stream.close(5)


async def test_next_connection_uses_the_same_tunnel(client: Client, box: str) -> None:
    async with counted(client, box) as (tunnels, relay):
        for _ in range(3):
            await echo(tunnels)
        assert relay.accepted == 1


async def test_refused_connection_leaves_the_tunnel_usable(client: Client, box: str) -> None:
    async with counted(client, box) as (tunnels, relay):
        for port in (9, 10):
            async with tunnels.open_connection(port) as stream:
                with pytest.raises(PortForwardError, match=f"nothing listens on port {port} in pod box"):
                    await stream.read()
        await echo(tunnels)
        assert relay.accepted == 1


async def test_data_that_nobody_took_stops_no_later_connection(
    client: Client, box: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnelling, "ANSWER_SECONDS", 0.2)
    async with counted(client, box) as (tunnels, _), asyncio.timeout(20):
        for _ in range(tunnelling.WORKERS):
            async with tunnels.open_connection(9) as stream:
                await stream.write(b"x")
                with pytest.raises(PortForwardError):
                    await stream.read()
            await echo(tunnels)


async def test_next_connection_does_not_wait_for_a_tunnel_that_is_stuck(client: Client, box: str) -> None:
    async with counted(client, box) as (tunnels, _):
        await echo(tunnels)
        # each blocks a worker of the node: the next one would wait for as long as a slow answer may take
        for _ in range(tunnelling.WORKERS):
            async with asyncio.timeout(tunnelling.ANSWER_SECONDS / 2):
                async with tunnels.open_connection(9) as stream:
                    await stream.write(b"x")
                    with pytest.raises(PortForwardError):
                        await stream.read()


async def test_waiting_for_a_refusal_before_writing_saves_the_tunnel(client: Client, box: str) -> None:
    async with counted(client, box) as (tunnels, relay):
        for _ in range(6):
            async with tunnels.open_connection(9) as stream:
                with pytest.raises(PortForwardError, match="nothing listens"):
                    await stream.settle(10)
        async with tunnels.open_connection(servers.NAME) as stream:
            await stream.settle(10)
            assert await stream.read() == b"box\n"
            await stream.close(5)
        assert relay.accepted == 1


async def test_connections_at_once_share_a_tunnel(client: Client, box: str) -> None:
    async with counted(client, box) as (tunnels, relay):
        async with asyncio.TaskGroup() as tasks:
            for number in range(40):
                tasks.create_task(echo(tunnels, bytes([number]) * 10_000), name=f"echo {number}")
        assert relay.accepted == 1


async def test_connection_left_in_the_middle_ends_in_the_pod_too(client: Client, box: str) -> None:
    async with counted(client, box) as (tunnels, _):
        async with tunnels.open_connection(servers.SOURCE) as stream:
            await stream.write(b"%d\n" % (1 << 40))
            await stream.read()

        async def none() -> bool:
            counting = ["sh", "-c", f"grep -c ':{servers.SOURCE:04X} [0-9A-F]*:[0-9A-F]* 01' /proc/net/tcp"]
            return (await run(client, box, "box", "app", counting)).stdout == b"0\n"

        await until(none)


async def test_stalled_connection_does_not_stop_new_ones(client: Client, box: str) -> None:
    async with counted(client, box) as (tunnels, relay):
        async with tunnels.open_connection(servers.SOURCE) as stalled:
            await stalled.write(b"%d\n" % (1 << 40))
            await asyncio.sleep(1)
            before = resident_bytes()
            async with asyncio.timeout(10):
                for _ in range(3):
                    await echo(tunnels)
            assert relay.accepted == 2
            assert resident_bytes() - before < 8 * MEGABYTE


async def test_stalled_upload_does_not_stop_new_connections(client: Client, box: str) -> None:
    async with counted(client, box) as (tunnels, relay), asyncio.TaskGroup() as tasks:
        async with tunnels.open_connection(servers.SINK) as stalled:
            await stalled.write(b"%d\n1000\n" % (1 << 40))
            writing = tasks.create_task(stalled.write(bytes(64 * MEGABYTE)), name="write")
            await asyncio.sleep(1)
            assert not writing.done()
            async with asyncio.timeout(10):
                await echo(tunnels)
            writing.cancel()
        assert relay.accepted == 2


async def test_tunnel_that_broke_while_idle_is_replaced(client: Client, box: str) -> None:
    async with counted(client, box) as (tunnels, relay):
        await echo(tunnels)
        relay.cut()
        await asyncio.sleep(0.2)
        await echo(tunnels)
        assert relay.accepted == 2


async def test_tunnel_that_does_not_answer_is_replaced(
    client: Client, box: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnelling, "ANSWER_SECONDS", 0.3)
    async with counted(client, box) as (tunnels, relay):
        await echo(tunnels)
        relay.stall()
        asyncio.get_running_loop().call_later(0.5, relay.resume)
        await echo(tunnels)
        assert relay.accepted == 2


async def test_broken_tunnel_breaks_its_connections(client: Client, box: str) -> None:
    async with counted(client, box) as (tunnels, relay):
        async with tunnels.open_connection(servers.NAME) as one, tunnels.open_connection(servers.NAME) as other:
            assert [await one.read(), await other.read()] == [b"box\n", b"box\n"]
            relay.cut()
            for stream in (one, other):
                with pytest.raises(ConnectionFailed):
                    await stream.read()


async def test_server_that_knows_no_tunnels(client: Client, box: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnelling, "PROTOCOL", "unknown.k8s.io")
    async with counted(client, box) as (tunnels, relay):
        await echo(tunnels)
        await echo(tunnels)
        assert relay.accepted == 3


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
