"""Running commands in containers, and attaching to their main process.

A command goes on running when its stream is closed before it ended (as with ``kubectl exec``): Kubernetes has no
way to end it. Give it an input and end that, or have it notice that nobody listens.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Literal, NamedTuple
from urllib.parse import quote

from innerloop.kube import channels
from innerloop.kube.client import Client, Query
from innerloop.kube.errors import ConnectionFailed, KubeError, ServerError
from innerloop.kube.failures import exec_failure, known_failure
from innerloop.kube.lines import Lines
from innerloop.kube.websockets import Socket, open_socket

LONGEST_LINE = 64 * 1024
"""In bytes; a longer one is handed out in pieces."""

Target = tuple[str, str, Sequence[str]]
"""Pod, container, command; for messages."""


class ExecStream:
    """A running command's standard streams.

    ``read`` has to be called all the time: it also keeps the connection alive. What is not read makes the command
    wait, and what the command does not read makes ``write`` wait; neither grows memory.
    """

    def __init__(self, socket: Socket, target: Target) -> None:
        self.exit_code: int | None = None
        """Known once ``read`` has returned None; 128 + n when signal n ended the command."""
        self._socket = socket
        self._target = target
        self._status = b""

    @property
    def can_close_stdin(self) -> bool:
        """Whether the server knows the end of input (Kubernetes 1.30)."""
        return self._socket.protocol == channels.EXEC_V5

    async def read(self) -> tuple[Literal["stdout", "stderr"], bytes] | None:
        """The next piece of output, None when the command has ended.

        With a terminal all output is stdout. Raises CommandNotStarted, ContainerNotRunning, ConnectionFailed.
        """
        while self.exit_code is None:
            message = await self._receive()
            if message is None:
                self._end()
                break
            channel, data = channels.split_message(message)
            if channel == channels.ERROR:
                self._status += data
            elif data and channel in (channels.STDOUT, channels.STDERR):
                return ("stdout" if channel == channels.STDOUT else "stderr"), data
        return None

    async def write(self, data: bytes) -> None:
        """Write to the command's stdin; waits while the command does not read.

        Raises ConnectionFailed, also when the command has ended already: ``read`` tells which it was.
        """
        for message in channels.messages(channels.STDIN, data):
            await self._socket.send(message)

    async def close_stdin(self) -> None:
        """End the command's input; output goes on. Raises KubeError where the server cannot (before 1.30)."""
        if not self.can_close_stdin:
            raise KubeError(
                "this cluster cannot end the input of a command in a container",
                hint="Kubernetes 1.30 or newer is needed for this",
            )
        await self._socket.send(channels.close_message(channels.STDIN))

    async def resize(self, columns: int, rows: int) -> None:
        """Tell the size of the terminal in characters; without effect where there is none."""
        await self._socket.send(channels.resize_message(columns, rows))

    async def _receive(self) -> bytes | None:
        try:
            return await self._socket.receive()
        except ConnectionFailed:
            if self._status:
                return None
            raise

    def _end(self) -> None:
        if not self._status:
            raise ConnectionFailed(
                "the connection closed before the command ended", detail="the container's node may be gone"
            )
        status = channels.parse_status(self._status)
        if status.exit_code is None:
            raise exec_failure(status, *self._target)
        self.exit_code = status.exit_code


class ExecResult(NamedTuple):
    code: int
    stdout: bytes
    stderr: bytes


@contextlib.asynccontextmanager
async def open_exec(
    client: Client,
    namespace: str,
    pod: str,
    container: str,
    command: Sequence[str],
    *,
    stdin: bool = False,
    tty: bool = False,
) -> AsyncIterator[ExecStream]:
    """Start a command in a running container; no shell is involved.

    Raises NotFound (pod), Invalid (container), Forbidden, ConnectionFailed; what goes wrong in the container is
    raised by ``read``.
    """
    query = [("container", container), *_streams(stdin, tty), *(("command", part) for part in command)]
    async with _open(client, pod_path(namespace, pod, "exec"), query, (pod, container, command)) as stream:
        yield stream


@contextlib.asynccontextmanager
async def open_attach(
    client: Client, namespace: str, pod: str, container: str, *, stdin: bool = False, tty: bool = False
) -> AsyncIterator[ExecStream]:
    """Attach to a container's main process; ``stdin`` and ``tty`` must be what its specification says."""
    query = [("container", container), *_streams(stdin, tty)]
    async with _open(client, pod_path(namespace, pod, "attach"), query, (pod, container, ())) as stream:
        yield stream


async def run(
    client: Client,
    namespace: str,
    pod: str,
    container: str,
    command: Sequence[str],
    *,
    input: bytes | None = None,
) -> ExecResult:
    """Run a command to its end; ``input`` is its whole stdin. All output is kept in memory. Raises as ``open_exec``.

    The command has to read its whole input: containerd 1.6 does not tell of the end of one that left more than
    about 64 KiB unread (``kubectl exec`` waits for ever, too).
    """
    async with open_exec(client, namespace, pod, container, command, stdin=input is not None) as stream:
        if input is None:
            return await _collect(stream)
        async with asyncio.TaskGroup() as tasks:
            feeding = tasks.create_task(_feed(stream, input), name=f"stdin of {command[0]} in {pod}")
            try:
                result: ExecResult | KubeError = await _collect(stream)
            except KubeError as error:
                result = error
            feeding.cancel()
    if isinstance(result, KubeError):
        raise result
    return result


async def stream(
    client: Client,
    namespace: str,
    pod: str,
    container: str,
    command: Sequence[str],
    on_line: Callable[[str], None],
) -> int:
    """Run a command to its end, hand each line of its stdout and stderr to ``on_line`` as it comes; returns its exit
    status. A carriage return ends a line too (progress bars). Raises as ``open_exec``."""
    pieces = {"stdout": Lines(LONGEST_LINE), "stderr": Lines(LONGEST_LINE)}

    def tell(lines: Iterable[bytes]) -> None:
        for line in lines:
            for part in line.removesuffix(b"\r").split(b"\r"):
                on_line(part.decode(errors="replace"))

    async with open_exec(client, namespace, pod, container, command) as running:
        while (piece := await running.read()) is not None:
            tell(pieces[piece[0]].feed(piece[1]))
        tell(rest for lines in pieces.values() if (rest := lines.rest()))
        assert running.exit_code is not None
        return running.exit_code


def pod_path(namespace: str, pod: str, subresource: str) -> str:
    """Path of a pod's subresource."""
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}/{subresource}"


def _streams(stdin: bool, tty: bool) -> list[tuple[str, str]]:
    # a terminal merges stderr into stdout; runtimes refuse both
    wanted = {"stdin": stdin, "stdout": True, "stderr": not tty, "tty": tty}
    return [(name, str(value).lower()) for name, value in wanted.items()]


@contextlib.asynccontextmanager
async def _open(client: Client, path: str, query: Query, target: Target) -> AsyncIterator[ExecStream]:
    async with contextlib.AsyncExitStack() as stack:
        sockets = open_socket(client, path, query, (channels.EXEC_V5, channels.EXEC_V4))
        try:
            socket = await stack.enter_async_context(sockets)
        except ServerError as error:
            # nodes that speak WebSocket themselves (1.36) tell before they open one
            raise known_failure(error.message, *target) or error from None
        yield ExecStream(socket, target)


async def _feed(stream: ExecStream, data: bytes) -> None:
    # a command may end without reading its whole input, and a lost connection is told by read
    with contextlib.suppress(ConnectionFailed):
        await stream.write(data)
        await stream.close_stdin()


async def _collect(stream: ExecStream) -> ExecResult:
    pieces: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    while (piece := await stream.read()) is not None:
        pieces[piece[0]].append(piece[1])
    assert stream.exit_code is not None
    return ExecResult(stream.exit_code, b"".join(pieces["stdout"]), b"".join(pieces["stderr"]))
