"""Small real servers on loopback, for what no API server does on demand."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from innerloop.kube.access import Access
from innerloop.kube.client import Client, connect

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def client_of(handler: Handler, **access: Any) -> AsyncIterator[Client]:
    """A client of a server that answers everything by ``handler``."""
    async with serving(handler) as server, connect(Access(server=server, context="loopback", **access)) as client:
        yield client


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """The URL of an HTTP server."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield site.name
    finally:
        await runner.cleanup()


class Relay:
    """TCP connections to one address, that can be cut, held and slowed."""

    def __init__(self, host: str, port: int) -> None:
        self.target = host, port
        self.host = "127.0.0.9"
        """Loopback, but nothing that a certificate names."""
        self.port = 0
        self.accepted = 0
        self.open = True
        """Whether new connections are accepted; others are closed at once."""
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.delay = 0.0
        """Seconds before each chunk."""
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Break off all connections."""
        for writer in self._writers:
            writer.transport.abort()

    def stall(self) -> None:
        """Let nothing through any more, without closing anything."""
        self.flowing.clear()

    def resume(self) -> None:
        self.flowing.set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if not self.open:
            writer.transport.abort()
            return
        there = await self.connected(reader, writer)
        if there is None:
            writer.close()
            return
        self._writers |= {writer, there[1]}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(reader, there[1]), name="up")
                tasks.create_task(self._pump(there[0], writer), name="down")
        except* OSError:
            pass
        finally:
            self._writers -= {writer, there[1]}
            there[1].transport.abort()
            writer.transport.abort()

    async def connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """The connection to the other side."""
        return await asyncio.open_connection(*self.target)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            await self.flowing.wait()
            if self.delay:
                await asyncio.sleep(self.delay)
            writer.write(chunk)
            await writer.drain()
        writer.transport.abort()


class HttpProxy(Relay):
    """A proxy that opens tunnels (CONNECT), for those who know the password where it has one."""

    def __init__(self, authorization: str = "") -> None:
        super().__init__("", 0)
        self.authorization = authorization
        self.tunnels: list[str] = []

    async def connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = head.split()[1]
        if self.authorization and f"Proxy-Authorization: {self.authorization}" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return None
        self.tunnels.append(target)
        host, _, port = target.rpartition(":")
        opened = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        return opened


@contextlib.asynccontextmanager
async def relayed(access: Access) -> AsyncIterator[Relay]:
    """A relay to the API server of ``access``."""
    server = urlsplit(access.server)
    relay = Relay(server.hostname or "", server.port or 443)
    async with listening(relay):
        yield relay


@contextlib.asynccontextmanager
async def listening(relay: Relay, tls: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    """Let ``relay`` accept connections on a port of its own."""
    handlers: set[asyncio.Task[Any]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        try:
            await relay.handle(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            handlers.discard(task)

    server = await asyncio.start_server(handle, relay.host, 0, ssl=tls)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()
        for task in handlers:
            task.cancel()
        if handlers:
            await asyncio.wait(handlers)
