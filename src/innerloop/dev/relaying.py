"""One local connection, carried into a pod and back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any

from innerloop.dev.peers import has_left
from innerloop.errors import single_failure
from innerloop.kube.errors import ConnectionFailed
from innerloop.kube.tunnels import Connection

CHUNK = 256 * 1024
"""Bytes of a connection on their way at a time; also the reader's limit, so that big uploads need few wake-ups."""
KEPT = 1 << 20
"""Bytes that can be sent again, to another pod, while it is not known whether the first one took the connection."""
CONFIRMED_SECONDS = 1.0
"""A container that refuses does so within this time; with Kubernetes there is no word for "connected"."""
SETTLE_SECONDS = 0.01
"""After a refusal nothing is sent for this long, so that the next one leaves the tunnel usable."""
SILENCE_SECONDS = 10.0
"""How long to wait for answers to a client of which we know only that it has no more to say."""
LINGER_SECONDS = 10.0


Until = Callable[[], Coroutine[Any, Any, None]]


class LocalConnection:
    """The client's end. ``carry`` may be called again after the other end refused: nothing of the client is lost."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._kept = bytearray()
        self._confirmed = asyncio.Event()
        self._heard = 0.0
        self._tried = False
        self._on_taken: Callable[[], None] = lambda: None

    @property
    def untouched(self) -> bool:
        """Whether nothing was heard from the pod and all that the client sent can be sent again."""
        return not self._confirmed.is_set()

    def has_left(self) -> bool:
        """Whether the client is known to be gone."""
        return self._writer.transport.is_closing() or has_left(self._writer.get_extra_info("socket")) is True

    async def carry(
        self, remote: Connection, *, until: Until, replaced: asyncio.Event, on_taken: Callable[[], None]
    ) -> None:
        """Carry bytes both ways until the pod has no more, or the client has left, or ``until`` raises.

        When ``replaced`` is set, the process that had the connection is gone, and nothing more is sent to it.
        ``on_taken`` is told that the pod took the connection. Raises PortForwardError and ConnectionFailed.
        """
        self._on_taken = on_taken
        if self._tried:
            await remote.settle(SETTLE_SECONDS)
        self._tried = True
        timer = asyncio.get_running_loop().call_later(CONFIRMED_SECONDS, self._confirm)
        try:
            async with asyncio.TaskGroup() as tasks:
                down = tasks.create_task(self._carry_down(remote), name="from the pod")
                up = tasks.create_task(self._carry_up(remote), name="to the pod")
                watch = tasks.create_task(until(), name="the pod's end")
                end = tasks.create_task(self._finish(remote, replaced), name="the process's end")
                await asyncio.wait([down, up], return_when=asyncio.FIRST_COMPLETED)
                client_left = up.done()
                for task in (down, up, watch, end):
                    task.cancel()
        except BaseExceptionGroup as failures:
            raise single_failure(failures) from None
        finally:
            timer.cancel()
        if client_left:
            # what it sent before is still to arrive
            await remote.close(LINGER_SECONDS)
        else:
            await self._end()

    def refuse(self) -> None:
        """Break off, so that the client does not take it for the end of an answer."""
        with contextlib.suppress(OSError):
            tcp: socket.socket = self._writer.get_extra_info("socket")
            # no lingering: the kernel sends RST instead of FIN
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _carry_down(self, remote: Connection) -> None:
        """Returns when the pod has no more. A client that does not want it is noticed by ``_carry_up``."""
        while data := await remote.read():
            self._confirm()
            self._heard = _now()
            if not self._writer.transport.is_closing():
                self._writer.write(data)
                with contextlib.suppress(ConnectionError):
                    await self._writer.drain()

    async def _finish(self, remote: Connection, replaced: asyncio.Event) -> None:
        await replaced.wait()
        await remote.finish()

    async def _end(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            self._writer.write_eof()
            # closing with unread input would reset the connection, and with it what the client has not read yet
            async with asyncio.timeout(CONFIRMED_SECONDS):
                while await self._reader.read(CHUNK):
                    pass

    async def _carry_up(self, remote: Connection) -> None:
        """Returns when the client has left."""
        try:
            if self._kept:
                await remote.write(bytes(self._kept))
            while data := await self._read_local():
                if not self._confirmed.is_set():
                    self._kept += data
                await remote.write(data)
                if len(self._kept) > KEPT:
                    await self._confirmed.wait()
        except ConnectionFailed:
            # reading tells why
            await asyncio.Event().wait()
        await self._until_left()

    async def _read_local(self) -> bytes:
        try:
            return await self._reader.read(CHUNK)
        except ConnectionError:
            return b""

    async def _until_left(self) -> None:
        ended, pause = _now(), 0.01
        tcp = self._writer.get_extra_info("socket")
        while not self._writer.transport.is_closing():
            left = has_left(tcp)
            if left or (left is None and _now() - max(ended, self._heard) > SILENCE_SECONDS):
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)

    def _confirm(self) -> None:
        if not self._confirmed.is_set():
            self._confirmed.set()
            self._kept.clear()
            self._on_taken()


def _now() -> float:
    return asyncio.get_running_loop().time()
