"""Many TCP connections into a pod over one WebSocket, which speaks SPDY (Kubernetes 1.31, KEP-4006; see ``kube.spdy``).

A connection is a pair of streams of the same ``requestid``, one for errors and one for data. The node ends both when
the container's side is done; text on the error stream tells why.

The node's end (moby/spdystream) has no flow control, and hands frames to five workers by their stream's number, pings
in turn. Data for a stream that nobody reads any more blocks a worker, for good with containerd 1.6 (kubernetes issue
74551). So a tunnel whose workers do not all answer takes no new connections, nor does one where they are likely not
to, until they have answered.
"""

from __future__ import annotations

import asyncio
import contextlib

from innerloop.kube import channels, spdy
from innerloop.kube.client import Client
from innerloop.kube.errors import ConnectionFailed, KubeError
from innerloop.kube.failures import port_failure
from innerloop.kube.websockets import Socket, open_socket

PROTOCOL = "SPDY/3.1+portforward.k8s.io"
MUCH = 1 << 20
"""Bytes in either direction that make a connection one to keep away from."""
MOST_KEPT = 4 << 20
"""Bytes of a connection that wait for its reader; beyond that the whole tunnel waits."""
WORKERS = 5
ANSWER_SECONDS = 1.0
"""A tunnel that answers no later than this is in order."""
FIRST_ANSWER_SECONDS = 30.0
"""The same for a tunnel that never answered, whose node may be slow."""


class Tunnel:
    """One WebSocket and the connections that share it."""

    def __init__(self, pod: str) -> None:
        self.pod = pod
        self.streams: dict[int, TunnelStream] = {}
        """By stream number: each connection is there twice."""
        self._socket: Socket | None = None
        self._settled = asyncio.Event()
        self._unknown = False
        self._failure: KubeError | None = None
        self._opener = spdy.Opener()
        self._next = 1
        self._pings: set[int] = set()
        self._doubts: set[int] = set()
        self._next_ping = 1
        self._answered = False
        self._clogged = False
        self._room = asyncio.Event()

    @property
    def is_inviting(self) -> bool:
        """Whether a new connection may join."""
        return self.is_usable and not self._doubts

    @property
    def is_usable(self) -> bool:
        """Whether a new connection may join, as soon as the node's workers have answered."""
        return self._socket is not None and not self._clogged and not any(one.is_big for one in self.streams.values())

    async def run(self, client: Client, path: str, port: int) -> None:
        """Open the WebSocket, then hand what comes to the connections until it closes."""
        parser = spdy.Parser()
        # the port is asked for by the older protocol only
        query, protocols = [("ports", str(port))], (PROTOCOL, channels.PORT_FORWARD_V4)
        try:
            async with open_socket(client, path, query, protocols) as socket:
                if socket.protocol != PROTOCOL:
                    self._unknown = True
                    return
                self._socket = socket
                self._settled.set()
                await self._receive(socket, parser)
        except KubeError as error:
            self._failure = error
        except spdy.ProtocolError as error:
            self._failure = ConnectionFailed("the connection to the cluster is garbled", detail=str(error))
        finally:
            self._socket = None
            self._settled.set()
            for stream in self.streams.values():
                stream.fail(self._failure or _closed())

    async def wait_opened(self) -> bool:
        """Whether the server knows tunnels. Raises why there is none otherwise."""
        await self._settled.wait()
        if self._unknown:
            return False
        if self._socket is None:
            raise self._failure or _closed()
        return True

    async def open_stream(self, port: int) -> TunnelStream | None:
        """A connection, once the node has taken note of it; None when the tunnel turns out to be clogged.

        Whether the container takes the connection its ``read`` tells.
        """
        error, data = self._next, self._next + 2
        self._next += 4
        stream = TunnelStream(self, port, error, data)
        self.streams |= {error: stream, data: stream}
        opening = b"".join(
            self._opener.syn_stream(number, {"streamtype": kind, "port": str(port), "requestid": str(error)})
            for number, kind in ((error, "error"), (data, "data"))
        )
        opened = False
        try:
            async with asyncio.timeout(ANSWER_SECONDS if self._answered else FIRST_ANSWER_SECONDS):
                await self.send(opening)
                await stream.wait_opened()
            self._answered = opened = True
            return stream
        except TimeoutError:
            self._clogged = True
            return None
        finally:
            if not opened:
                await stream.leave()

    async def send(self, frames: bytes) -> None:
        """Raises ConnectionFailed."""
        if self._socket is None:
            raise self._failure or _closed()
        await self._socket.send(frames)

    async def probe(self, *, doubtful: bool) -> None:
        """Find out whether all of the node's workers answer; ``doubtful``: no new connection before they have."""
        numbers = {self._next_ping + 2 * worker for worker in range(WORKERS)}
        self._next_ping += 2 * WORKERS
        self._pings |= numbers
        self._doubts |= numbers if doubtful else set()
        await self.send(b"".join(map(spdy.ping_frame, sorted(numbers))))
        asyncio.get_running_loop().call_later(ANSWER_SECONDS, self._check, numbers)

    def make_room(self) -> None:
        """A connection's reader has taken something."""
        self._room.set()

    def _check(self, pings: set[int]) -> None:
        if self._pings & pings:
            self._clogged = True

    async def _receive(self, socket: Socket, parser: spdy.Parser) -> None:
        while (message := await socket.receive()) is not None:
            for event in parser.feed(message):
                if event.kind == "goaway":
                    return
                if event.kind == "ping":
                    self._pings.discard(event.stream)
                    self._doubts.discard(event.stream)
                elif stream := self.streams.get(event.stream):
                    stream.take(event)
                    while stream.is_full:
                        self._room.clear()
                        await self._room.wait()


class TunnelStream:
    """One TCP connection into a pod, with the methods of ``PortStream``."""

    def __init__(self, tunnel: Tunnel, port: int, error: int, data: int) -> None:
        self._tunnel = tunnel
        self._port = port
        self._error = error
        self._data = data
        self._unanswered = {error, data}
        self._open = {error, data}
        """Streams on which the node has more to send."""
        self._text = b""
        self._failure: KubeError | None = None
        self._pending: list[bytes] = []
        self._waiting = 0
        self._moved = 0
        self._wrote = False
        self._finished = False
        self._news = asyncio.Event()

    @property
    def is_big(self) -> bool:
        """Whether so much was carried that others had better keep away."""
        return self._moved > MUCH

    @property
    def is_full(self) -> bool:
        """Whether too much waits for the reader."""
        return self._waiting > MOST_KEPT

    def take(self, event: spdy.Event) -> None:
        """Take note of what came."""
        if event.kind == "reply" or event.fin:
            self._unanswered.discard(event.stream)
        if event.fin:
            self._open.discard(event.stream)
        if event.stream == self._error:
            self._text += event.data
        elif event.data:
            self._pending.append(event.data)
            self._waiting += len(event.data)
            self._moved += len(event.data)
        self._news.set()

    def fail(self, failure: KubeError) -> None:
        """The tunnel is gone."""
        self._failure = failure
        self._news.set()

    async def wait_opened(self) -> None:
        """Wait for the node's replies: data that comes before them is dropped there. Raises ConnectionFailed."""
        while self._unanswered:
            await self._wait()
            if self._failure is not None:
                raise self._failure

    async def settle(self, seconds: float) -> None:
        """Wait a moment for the container's refusal: while nothing was written, the tunnel bears it.

        Raises PortForwardError when it comes.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wait_readable()
        if not self._pending and not self._open:
            await self.read()

    async def read(self) -> bytes:
        """As ``PortStream.read``."""
        await self._wait_readable()
        if self._pending:
            data = b"".join(self._pending)
            self._pending.clear()
            self._waiting = 0
            self._tunnel.make_room()
            return data
        if self._failure is not None:
            raise self._failure
        await self._finish()
        if self._text:
            raise port_failure(self._text.decode(errors="replace"), self._tunnel.pod, self._port)
        return b""

    async def write(self, data: bytes) -> None:
        """As ``PortStream.write``."""
        if self._finished:
            raise ConnectionFailed("nothing more is sent on this connection")
        self._wrote = True
        self._moved += len(data)
        view = memoryview(data)
        for start in range(0, len(view), channels.MAX_DATA):
            piece = bytes(view[start : start + channels.MAX_DATA])
            await self._tunnel.send(spdy.data_frame(self._data, piece))

    async def finish(self) -> None:
        """As ``PortStream.finish``."""
        await self._finish()

    async def close(self, patience: float) -> None:
        """As ``PortStream.close``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._finish()
                while self._open and self._failure is None:
                    self._drop_pending()
                    await self._wait()

    async def leave(self) -> None:
        """Free the tunnel of the connection."""
        try:
            with contextlib.suppress(TimeoutError, ConnectionFailed):
                async with asyncio.timeout(ANSWER_SECONDS):
                    if self._open:
                        await self._tunnel.send(spdy.reset_frame(self._data) + spdy.reset_frame(self._error))
                    if self._wrote:
                        # what was written when the container refused had nobody to read it
                        await self._tunnel.probe(doubtful=bool(self._text))
        finally:
            self._drop_pending()
            del self._tunnel.streams[self._error], self._tunnel.streams[self._data]

    async def _finish(self) -> None:
        if not self._finished:
            self._finished = True
            ends = b"".join(spdy.data_frame(stream, b"", fin=True) for stream in (self._error, self._data))
            with contextlib.suppress(ConnectionFailed):
                await self._tunnel.send(ends)

    async def _wait_readable(self) -> None:
        while not self._pending and self._open and self._failure is None:
            await self._wait()

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()

    def _drop_pending(self) -> None:
        self._pending.clear()
        self._waiting = 0
        self._tunnel.make_room()


def _closed() -> ConnectionFailed:
    return ConnectionFailed("the connection to the node was closed")
