"""Commands in real containers: output, input, exit status, and each way to fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from innerloop.kube import channels, websockets
from innerloop.kube.access import Impersonation
from innerloop.kube.client import Client, connect
from innerloop.kube.errors import ConnectionFailed, Forbidden, Invalid, KubeError, NotFound
from innerloop.kube.execution import ExecStream, open_attach, open_exec, pod_path, run, stream
from innerloop.kube.failures import CommandNotStarted, ContainerNotRunning
from innerloop.kube.websockets import open_socket
from tests.kube import pods
from tests.kube.loopback import Relay, relayed

pytestmark = pytest.mark.cluster

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
async def box(client: Client) -> AsyncIterator[str]:
    """The namespace of pod ``box`` with containers ``app``, which runs, and ``done``, which ended."""
    async with pods.fresh_namespace(client) as namespace:
        containers = [pods.container("app"), pods.container("done", ["true"])]
        await pods.start_without_waiting(client, pods.pod(namespace, "box", containers, restartPolicy="Never"))
        await pods.container_state(client, namespace, "box", "app", "running")
        await pods.container_state(client, namespace, "box", "done", "terminated")
        yield namespace


async def text_of(stream: ExecStream) -> str:
    """All that a command writes from now on."""
    pieces = []
    while (piece := await stream.read()) is not None:
        pieces.append(piece[1])
    return b"".join(pieces).decode()


@asynccontextmanager
async def behind(relay: Relay, client: Client) -> AsyncIterator[Client]:
    """A client that reaches the same server through a relay."""
    name = urlsplit(client.access.server).hostname
    access = msgspec.structs.replace(
        client.access, server=f"https://{relay.host}:{relay.port}", server_name=client.access.server_name or name
    )
    async with connect(access) as other:
        yield other


async def test_lines_come_one_by_one_and_the_exit_code_last(client: Client, box: str) -> None:
    lines: list[str] = []
    command = "printf 'one\\ntw'; printf 'o\\r\\n10%%\\r20%%'; exit 3"
    assert await stream(client, box, "box", "app", ["sh", "-c", command], lines.append) == 3
    assert lines == ["one", "two", "10%", "20%"]


async def test_output_streams_and_exit_code(client: Client, box: str) -> None:
    result = await run(client, box, "box", "app", ["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert result == (7, b"out\n", b"err\n")


async def test_arguments_arrive_as_they_are(client: Client, box: str) -> None:
    result = await run(client, box, "box", "app", ["printf", "%s|", "a b", "", "$HOME", "&c=d", "é", "100%"])
    assert result.stdout.decode() == "a b||$HOME|&c=d|é|100%|"


async def test_signal_ends_with_its_number(client: Client, box: str) -> None:
    assert (await run(client, box, "box", "app", ["sh", "-c", "kill -9 $$"])).code == 137


@pytest.mark.parametrize("size", [0, 1, channels.MAX_DATA, 5 * MEGABYTE + 3])
async def test_input_arrives_whole_and_ends(client: Client, box: str, size: int) -> None:
    data = bytes(i % 253 for i in range(min(size, 100_000))) * (size // 100_000 + 1)
    result = await run(client, box, "box", "app", ["cat"], input=data[:size])
    assert (result.code, result.stdout == data[:size]) == (0, True)


async def test_terminal_has_the_size_it_is_told(client: Client, box: str) -> None:
    command = ["sh", "-c", "while read line; do stty size; done"]
    async with open_exec(client, box, "box", "app", command, stdin=True, tty=True) as stream, asyncio.timeout(20):
        for columns, rows in ((100, 40), (33, 12)):
            await stream.resize(columns, rows)
            text = ""
            # nothing orders sizes and input, so ask until it is so
            while f"{rows} {columns}\r\n" not in text:
                await stream.write(b"\n")
                text = ((await stream.read()) or ("stdout", b""))[1].decode()
        await stream.write(b"\x04")
        await text_of(stream)
    assert stream.exit_code == 0


async def test_attach_shows_the_main_process(client: Client, namespace: str) -> None:
    script = ["sh", "-c", "read word; echo got $word; sleep 100"]
    await pods.start(client, pods.pod(namespace, "main", [pods.container("app", script, stdin=True)]))
    async with open_attach(client, namespace, "main", "app", stdin=True) as stream:
        await stream.write(b"hello\n")
        assert await stream.read() == ("stdout", b"got hello\n")


@pytest.mark.parametrize(
    ("command", "exit_code", "reason"),
    [("nope", 127, "not found in $PATH"), ("/no/such", 127, "no such file"), ("/etc/passwd", 126, "permission denied")],
)
async def test_command_that_cannot_start(client: Client, box: str, command: str, exit_code: int, reason: str) -> None:
    with pytest.raises(CommandNotStarted) as caught:
        await run(client, box, "box", "app", [command])
    assert caught.value.exit_code == exit_code
    assert caught.value.message == f"cannot run {command} in container app of pod box"
    assert reason in (caught.value.detail or "")
    assert "OCI" not in (caught.value.detail or "")


async def test_container_that_ended(client: Client, box: str) -> None:
    with pytest.raises(ContainerNotRunning, match="container done of pod box is not running"):
        await run(client, box, "box", "done", ["true"])


async def test_unknown_container_and_pod(client: Client, box: str) -> None:
    with pytest.raises(Invalid, match="container nope is not valid for pod box"):
        await run(client, box, "box", "nope", ["true"])
    with pytest.raises(NotFound, match='pods "nope" not found'):
        await run(client, box, "nope", "app", ["true"])


async def test_without_rights(client: Client, box: str) -> None:
    access = msgspec.structs.replace(client.access, impersonate=Impersonation("nobody"))
    async with connect(access) as nobody:
        with pytest.raises(Forbidden, match=r'cannot (get|create) resource "pods/exec"'):
            await run(nobody, box, "box", "app", ["true"])


async def test_pod_deleted_meanwhile(client: Client, namespace: str) -> None:
    await pods.start(client, pods.pod(namespace, "short", [pods.container("app")]))
    async with open_exec(client, namespace, "short", "app", ["sh", "-c", "echo up; sleep 1000"]) as stream:
        assert await stream.read() == ("stdout", b"up\n")
        await pods.remove(client, namespace, "short")
        # the runtime tells of the kill where it gets to it, else the stream breaks
        try:
            async with asyncio.timeout(30):
                assert await stream.read() is None
            assert stream.exit_code == 137
        except KubeError as error:
            assert isinstance(error, ContainerNotRunning | ConnectionFailed)


async def test_older_protocol(client: Client, box: str) -> None:
    query = [("container", "app"), ("stdin", "true"), ("stdout", "true"), ("command", "cat")]
    async with open_socket(client, pod_path(box, "box", "exec"), query, [channels.EXEC_V4]) as socket:
        stream = ExecStream(socket, ("box", "app", ["cat"]))
        await stream.write(b"hi")
        assert await stream.read() == ("stdout", b"hi")
        with pytest.raises(KubeError, match="cannot end the input"):
            await stream.close_stdin()


async def test_cut_connection_is_told(client: Client, box: str) -> None:
    async with relayed(client.access) as relay, behind(relay, client) as other:
        async with open_exec(other, box, "box", "app", ["cat"], stdin=True) as stream:
            await stream.write(b"x")
            assert await stream.read() == ("stdout", b"x")
            relay.cut()
            with pytest.raises(ConnectionFailed):
                await stream.read()


async def test_silent_connection_is_noticed(client: Client, box: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)
    async with relayed(client.access) as relay, behind(relay, client) as other:
        async with open_exec(other, box, "box", "app", ["cat"], stdin=True) as stream:
            await stream.write(b"x")
            assert await stream.read() == ("stdout", b"x")
            # pings answered: nothing but silence, for long enough to be taken for dead without them
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3 * websockets.DEAD_SECONDS):
                    await stream.read()
            relay.stall()
            with pytest.raises(ConnectionFailed, match="no longer answers"):
                async with asyncio.timeout(30):
                    await stream.read()


async def test_peer_that_waits_for_the_container_is_not_dead(
    client: Client, box: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    result = await run(client, box, "box", "app", ["sh", "-c", "sleep 3; wc -c"], input=bytes(32 * MEGABYTE))
    assert int(result.stdout) == 32 * MEGABYTE


async def test_unread_output_makes_the_command_wait(client: Client, box: str) -> None:
    async with open_exec(client, box, "box", "app", ["yes"]) as stream:
        await stream.read()
        before = resident_bytes()
        await asyncio.sleep(1.5)
        assert resident_bytes() - before < 8 * MEGABYTE


async def test_unread_input_makes_the_writer_wait(client: Client, box: str) -> None:
    written = 0

    async def write(stream: ExecStream) -> None:
        nonlocal written
        while True:
            await stream.write(bytes(MEGABYTE))
            written += MEGABYTE

    async with open_exec(client, box, "box", "app", ["sleep", "100"], stdin=True) as stream:
        before = resident_bytes()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await write(stream)
        assert written < 64 * MEGABYTE
        assert resident_bytes() - before < 16 * MEGABYTE


async def test_cancelling_closes_at_once(client: Client, box: str) -> None:
    async def consume(command: Sequence[str]) -> None:
        async with open_exec(client, box, "box", "app", command) as stream:
            await text_of(stream)

    async with asyncio.TaskGroup() as tasks:
        endless = [tasks.create_task(consume(command), name="exec") for command in (["sleep", "100"], ["yes"])]
        await asyncio.sleep(0.5)
        for task in endless:
            task.cancel()
        start = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - start < 1.5


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let connections be taken for dead within a second."""
    monkeypatch.setattr(websockets, "PING_SECONDS", 0.2)
    monkeypatch.setattr(websockets, "DEAD_SECONDS", 0.8)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
