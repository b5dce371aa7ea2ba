"""Connections into one pod that share tunnels, so that a new one costs a round trip and no handshakes.

New connections never join a tunnel on which one moves much data: what stalls, and fills the way for the others, is
among those. How a tunnel works is told in ``kube.tunnelling``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from innerloop.kube.client import Client
from innerloop.kube.execution import pod_path
from innerloop.kube.port_forward import PortStream, open_connection
from innerloop.kube.tunnelling import Tunnel, TunnelStream

MOST_IDLE = 2
"""Tunnels without connections that are kept for the next ones."""

Connection = PortStream | TunnelStream


class Tunnels:
    """The tunnels to one pod. They run as tasks of ``tasks``, nothing is opened before the first is wanted."""

    def __init__(self, client: Client, namespace: str, pod: str, tasks: asyncio.TaskGroup) -> None:
        self._client = client
        self._namespace = namespace
        self._pod = pod
        self._tasks = tasks
        self._tunnels: dict[Tunnel, asyncio.Task[None]] = {}
        self._choosing = asyncio.Lock()
        self._supported = True

    @contextlib.asynccontextmanager
    async def open_connection(self, port: int) -> AsyncIterator[Connection]:
        """Connect to a port of the pod, on its loopback interface; as ``port_forward.open_connection``."""
        stream = await self._open_stream(port) if self._supported else None
        if stream is None:
            async with open_connection(self._client, self._namespace, self._pod, port) as plain:
                yield plain
            return
        try:
            yield stream
        finally:
            await stream.leave()
            self._dismiss_idle()

    def close(self) -> None:
        """End all tunnels and their connections."""
        for task in self._tunnels.values():
            task.cancel()

    async def _open_stream(self, port: int) -> TunnelStream | None:
        """A stream on a tunnel that takes it, None where the server knows no tunnels."""
        while (tunnel := await self._choose(port)) is not None:
            stream = await tunnel.open_stream(port)
            if stream is not None:
                return stream
        return None

    async def _choose(self, port: int) -> Tunnel | None:
        # whoever comes while a tunnel is being opened waits for that one
        async with self._choosing:
            for tunnel in self._tunnels:
                if tunnel.is_inviting:
                    return tunnel
            if not self._supported:
                return None
            tunnel = Tunnel(self._pod)
            opening = tunnel.run(self._client, pod_path(self._namespace, self._pod, "portforward"), port)
            self._tunnels[tunnel] = task = self._tasks.create_task(opening, name=f"tunnel to {self._pod}")
            task.add_done_callback(lambda _: self._tunnels.pop(tunnel))
            self._supported = await tunnel.wait_opened()
            return tunnel if self._supported else None

    def _dismiss_idle(self) -> None:
        idle = [tunnel for tunnel in self._tunnels if not tunnel.streams]
        usable = [tunnel for tunnel in idle if tunnel.is_usable]
        for tunnel in idle:
            if tunnel not in usable[:MOST_IDLE]:
                self._tunnels[tunnel].cancel()
