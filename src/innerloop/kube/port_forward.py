"""TCP connections to ports of pods, each over a WebSocket of its own.

One of these costs handshakes with the API server and the node (15 ms and more); ``kube.tunnels`` shares them. It is
what every server knows, and what one connection needs that is not to be disturbed by any other.

The protocol has no end of one direction: the pod sees our end only when everything closes. Runtimes do not carry it
either: containerd (1.6–2.x) closes both directions one second after either ended.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from innerloop.kube import channels
from innerloop.kube.client import Client
from innerloop.kube.execution import pod_path
from innerloop.kube.failures import PortForwardError, port_failure
from innerloop.kube.websockets import Socket, open_socket

__all__ = ["PortForwardError", "PortStream", "open_connection"]


class PortStream:
    """One TCP connection into a pod."""

    def __init__(self, socket: Socket, pod: str, port: int) -> None:
        self._socket = socket
        self._pod = pod
        self._port = port
        self._channels = channels.PortChannels()
        self._error = b""

    async def settle(self, seconds: float) -> None:
        """Without effect: a refusal costs the whole connection anyway."""

    async def read(self) -> bytes:
        """The next bytes, none at the end.

        Whether the pod took the connection shows only here: raises PortForwardError when it refused or broke it,
        ConnectionFailed when the way to it did.
        """
        while (message := await self._socket.receive()) is not None:
            kind, data = self._channels.feed(message)
            if kind == "error":
                self._error += data
            elif data:
                return data
        if self._error:
            raise port_failure(self._error.decode(errors="replace"), self._pod, self._port)
        return b""

    async def write(self, data: bytes) -> None:
        """Send bytes; waits while the pod does not take them. Raises ConnectionFailed; ``read`` tells why."""
        for message in channels.messages(0, data):
            await self._socket.send(message)

    async def finish(self) -> None:
        """Send nothing more; the node closes when the container's end is closed too. Without effect: this protocol
        has no such word."""

    async def close(self, patience: float) -> None:
        """End the connection; returns when the pod has got all that was written, at the latest after ``patience``
        seconds. Leaving ``open_connection`` closes too, and waits for nobody."""
        await self._socket.close(patience)


@contextlib.asynccontextmanager
async def open_connection(client: Client, namespace: str, pod: str, port: int) -> AsyncIterator[PortStream]:
    """Connect to a port of a pod, on its loopback interface.

    Raises NotFound, Forbidden, ConnectionFailed; that nothing listens there is told by the first ``read``.
    """
    path = pod_path(namespace, pod, "portforward")
    async with open_socket(client, path, [("ports", str(port))], (channels.PORT_FORWARD_V4,)) as socket:
        yield PortStream(socket, pod, port)
