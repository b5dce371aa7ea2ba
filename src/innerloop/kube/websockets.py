"""A WebSocket to the API server that notices when its other end is gone, and never mistakes a busy one for dead.

The peer answers pings only between two messages: while it waits for a container that does not read its input, it
answers none. So an unanswered ping proves something only when the peer had nothing else of ours to take; otherwise
its kernel must be asked (Linux), which acknowledges bytes whatever the program does.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

from innerloop.kube import transport
from innerloop.kube.client import Client, Query
from innerloop.kube.errors import ConnectionFailed
from innerloop.kube.lean_aiohttp import aiohttp

PING_SECONDS = 10.0
"""Silence before a ping: well below the idle time-outs of load balancers (60 s and more)."""
DEAD_SECONDS = 30.0
"""Silence, pings notwithstanding, after which the connection is given up."""
BUSY_SECONDS = 300.0
"""The same for a peer that may be busy, where the kernel cannot tell whether it acknowledges."""
CLOSE_SECONDS = 0.5
_GOOD_ENDS = (0, 1000, 1001)
"""No code, normal closure, going away (RFC 6455 section 7.4.1)."""


class Socket:
    """An open WebSocket for binary messages; made by ``open_socket``."""

    def __init__(self, client: Client, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self.protocol = websocket.protocol or ""
        """The subprotocol that the server chose."""
        self._access = client.access
        self._websocket = websocket
        self._tcp: Any = websocket.get_extra_info("socket")
        # the library has no public way to drop a connection at once
        self._transport = websocket._writer.transport
        self._heard = _now()
        self._sent = 0
        self._taken = 0
        self._ended = False

    async def receive(self) -> bytes | None:
        """The next message, None once the other end has closed in good order.

        Raises ConnectionFailed when the connection broke off or no longer answers. Nothing is lost when it is
        cancelled. Pings are only sent, and death only noticed, while somebody receives.
        """
        while not self._ended:
            try:
                async with asyncio.timeout(PING_SECONDS):
                    message = await self._websocket.receive()
            except TimeoutError:
                await self._probe()
                continue
            self._heard = _now()
            if message.type is aiohttp.WSMsgType.BINARY:
                return bytes(message.data)
            if message.type is aiohttp.WSMsgType.PONG:
                self._taken = int.from_bytes(message.data)
            elif message.type is aiohttp.WSMsgType.PING:
                await self._control(self._websocket.pong(message.data))
            else:
                self._check_end(message)
                self._ended = True
        return None

    async def send(self, message: bytes) -> None:
        """Send one message; waits while the other end does not take it. Raises ConnectionFailed."""
        self._sent += 1
        with transport.translated(self._access):
            await self._websocket.send_bytes(message)

    async def close(self, patience: float = CLOSE_SECONDS) -> None:
        """Say goodbye and wait for the answer, which comes when the other end has taken all that was sent."""
        try:
            async with asyncio.timeout(patience):
                await self._websocket.close()
        except TimeoutError:
            pass
        finally:
            # TLS would say goodbye in the background, for longer than the event loop may live
            self.abort()

    def abort(self) -> None:
        """Drop the connection without a goodbye."""
        self._transport.abort()

    async def _probe(self) -> None:
        if self._is_dead():
            raise ConnectionFailed(
                "the connection to the cluster no longer answers",
                detail=f"nothing came back for {_now() - self._heard:.0f} s",
            )
        await self._control(self._websocket.ping(self._sent.to_bytes(8)))

    async def _control(self, sending: Awaitable[None]) -> None:
        # a control frame queues behind data; while that does not move, waiting for it would keep us from reading
        with transport.translated(self._access), contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await sending

    def _is_dead(self) -> bool:
        silence = _now() - self._heard
        if silence < DEAD_SECONDS:
            return False
        if self._taken == self._sent:
            return True
        unacknowledged = _unacknowledged_seconds(self._tcp)
        return silence > BUSY_SECONDS if unacknowledged is None else unacknowledged > DEAD_SECONDS

    def _check_end(self, message: aiohttp.WSMessage) -> None:
        # without a close frame the library tells of a cut connection as CLOSED, with code 1000
        if message.type is not aiohttp.WSMsgType.CLOSE:
            reason = str(message.data) if message.data else "without a goodbye"
            raise ConnectionFailed("the connection to the cluster broke off", detail=reason)
        if message.data not in _GOOD_ENDS:
            reason = f"closed by the other end with code {message.data} {message.extra or ''}".rstrip()
            raise ConnectionFailed("the connection to the cluster broke off", detail=reason)


@contextlib.asynccontextmanager
async def open_socket(client: Client, path: str, query: Query, protocols: Sequence[str]) -> AsyncIterator[Socket]:
    """Open a WebSocket on a streaming subresource. Raises ApiError, ConnectionFailed, KubeConfigError."""
    async with client.open_websocket(path, query, protocols) as websocket:
        opened = Socket(client, websocket)
        _tolerate_closed_window(websocket.get_extra_info("socket"))
        try:
            yield opened
        finally:
            await opened.close()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _tolerate_closed_window(tcp: Any) -> None:
    # TCP_USER_TIMEOUT counts a window that stays closed as death, though the peer acknowledges each probe (Linux
    # since 5.11, measured on 6.18); here it only means that a container does not read its input
    if tcp is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 0)


def _unacknowledged_seconds(tcp: Any) -> float | None:
    """For how long the peer's kernel owes us an acknowledgement; 0 when it owes none, None when unknown."""
    if tcp is None or sys.platform != "linux":
        return None
    # struct tcp_info, include/uapi/linux/tcp.h: tcpi_unacked at 24, tcpi_last_ack_recv (ms) at 56
    info = tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 60)
    unacked, last_ack = struct.unpack_from("I", info, 24)[0], struct.unpack_from("I", info, 56)[0]
    return last_ack / 1000 if unacked else 0.0
