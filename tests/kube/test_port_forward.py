"""TCP connections into real pods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlsplit

import msgspec
import pytest

from innerloop.errors import single_failure
from innerloop.kube.access import Impersonation
from innerloop.kube.client import Client, connect
from innerloop.kube.errors import ConnectionFailed, Forbidden, KubeError, NotFound
from innerloop.kube.port_forward import PortForwardError, open_connection
from innerloop.kube.tunnels import Connection, Tunnels
from tests.kube import pods, servers
from tests.kube.loopback import Relay, relayed

pytestmark = pytest.mark.cluster

MEGABYTE = 1 << 20


Connecting = Callable[[Client, str, str, int], AbstractAsyncContextManager[Connection]]


@asynccontextmanager
async def tunnelled(client: Client, namespace: str, pod: str, port: int) -> AsyncIterator[Connection]:
    try:
        async with asyncio.TaskGroup() as tasks:
            tunnels = Tunnels(client, namespace, pod, tasks)
            async with tunnels.open_connection(port) as stream:
                yield stream
            tunnels.close()
    except BaseExceptionGroup as failures:
        raise single_failure(failures) from None


@pytest.fixture(params=[open_connection, tunnelled], ids=["plain", "tunnelled"])
def connecting(request: pytest.FixtureRequest) -> Connecting:
    """Both ways to connect to a port of a pod."""
    found: Connecting = request.param
    return found


@pytest.fixture(scope="module")
async def box(client: Client) -> AsyncIterator[str]:
    """The namespace of pod ``box`` with the servers."""
    async with pods.fresh_namespace(client) as namespace:
        container = servers.server(readinessProbe=servers.ready_probe())
        await pods.start(client, pods.pod(namespace, "box", [container]))
        yield namespace


@asynccontextmanager
async def behind(relay: Relay, client: Client) -> AsyncIterator[Client]:
    """A client that reaches the same server through a relay."""
    name = client.access.server_name or urlsplit(client.access.server).hostname
    access = msgspec.structs.replace(client.access, server=f"https://{relay.host}:{relay.port}", server_name=name)
    async with connect(access) as other:
        yield other


async def read_exactly(stream: Connection, size: int) -> bytes:
    data = bytearray()
    while len(data) < size and (chunk := await stream.read()):
        data += chunk
    return bytes(data)


@pytest.mark.parametrize("size", [1, 65535, 65536, 5 * MEGABYTE + 1])
async def test_bytes_arrive_as_sent(connecting: Connecting, client: Client, box: str, size: int) -> None:
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    async with connecting(client, box, "box", servers.ECHO) as stream, asyncio.TaskGroup() as tasks:
        tasks.create_task(stream.write(data), name="write")
        assert await read_exactly(stream, size) == data


async def test_end_comes_after_all_bytes(connecting: Connecting, client: Client, box: str) -> None:
    async with connecting(client, box, "box", servers.SOURCE) as stream:
        await stream.write(b"%d\n" % (3 * MEGABYTE))
        assert len(await read_exactly(stream, 4 * MEGABYTE)) == 3 * MEGABYTE
        assert await stream.read() == b""


async def test_nothing_listens(connecting: Connecting, client: Client, box: str) -> None:
    async with connecting(client, box, "box", 9) as stream:
        with pytest.raises(PortForwardError, match="nothing listens on port 9 in pod box") as caught:
            await stream.read()
    assert caught.value.refused


async def test_connection_broken_by_the_server(connecting: Connecting, client: Client, box: str) -> None:
    async with connecting(client, box, "box", servers.RESET) as stream:
        await stream.write(b"x")
        with pytest.raises(PortForwardError, match="broke off") as caught:
            await stream.read()
    assert not caught.value.refused


async def test_no_such_pod(connecting: Connecting, client: Client, box: str) -> None:
    with pytest.raises(NotFound, match='pods "nope" not found'):
        async with connecting(client, box, "nope", 80):
            pass


async def test_without_rights(connecting: Connecting, client: Client, box: str) -> None:
    access = msgspec.structs.replace(client.access, impersonate=Impersonation("nobody"))
    async with connect(access) as nobody:
        with pytest.raises(Forbidden, match="pods/portforward"):
            async with connecting(nobody, box, "box", 80):
                pass


async def test_pod_deleted_meanwhile(connecting: Connecting, client: Client, namespace: str) -> None:
    await pods.start(client, pods.pod(namespace, "short", [servers.server(readinessProbe=servers.ready_probe())]))
    async with connecting(client, namespace, "short", servers.ECHO) as stream:
        await stream.write(b"x")
        assert await stream.read() == b"x"
        await pods.remove(client, namespace, "short")
        async with asyncio.timeout(30):
            try:
                assert await stream.read() == b""
            except KubeError as error:
                assert isinstance(error, PortForwardError | ConnectionFailed)


async def test_cut_connection_is_no_end(connecting: Connecting, client: Client, box: str) -> None:
    async with relayed(client.access) as relay, behind(relay, client) as other:
        async with connecting(other, box, "box", servers.ECHO) as stream:
            await stream.write(b"x")
            assert await stream.read() == b"x"
            relay.cut()
            with pytest.raises(ConnectionFailed):
                await stream.read()


async def test_stalled_connection_does_not_stop_others(connecting: Connecting, client: Client, box: str) -> None:
    async with connecting(client, box, "box", servers.SOURCE) as stalled:
        await stalled.write(b"%d\n" % (1 << 40))
        await stalled.read()
        await asyncio.sleep(0.5)
        async with connecting(client, box, "box", servers.ECHO) as other, asyncio.timeout(5):
            await other.write(b"still here")
            assert await read_exactly(other, 10) == b"still here"
