"""Local ports that lead to wherever a service runs now.

A local port is bound as long as the session lives. New connections go to the newest pod that is ready, else to the
newest that runs (a debugger's port is wanted before the service is ready); existing ones live as long as their pod.
A client that connects while nothing answers yet waits, within bounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Literal, NamedTuple

from innerloop.dev.listening import listen
from innerloop.dev.pods import Pod, is_terminating, pods_of
from innerloop.dev.relaying import CHUNK, LocalConnection
from innerloop.dev.restarts import Restarts
from innerloop.errors import LoopError, single_failure
from innerloop.events import Emit, Forwarding, Notice
from innerloop.kube.client import Client
from innerloop.kube.errors import ConnectionFailed, Forbidden, KubeError, Unauthorized
from innerloop.kube.failures import PortForwardError
from innerloop.kube.tunnels import Tunnels
from innerloop.project import PortForward

PATIENCE_SECONDS = 15.0
"""How long a client waits for a pod that takes its connection."""
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25
"""Seconds between two attempts for the same client: a restarted process is found within a fifth of its start."""


async def forward(
    client: Client,
    *,
    service: str,
    namespace: str,
    selector: str,
    ports: Sequence[PortForward],
    emit: Emit,
    restarts: Restarts | None = None,
) -> None:
    """Forward ports until cancelled; they are bound before anything is waited for.

    ``restarts`` of the service's process end the connections that it had at once, where it is alone in its pod.
    Raises LoopError when a port is taken (by whom), ApiError when pods may not be watched. What goes wrong later is
    told by Forwarding events, when it changes.
    """
    with contextlib.ExitStack() as bound:
        sockets = [bound.enter_context(listen(port.address, port.local)) for port in ports]
        try:
            async with asyncio.TaskGroup() as tasks:
                workload = Workload(client, namespace, selector, tasks)
                forwards = [Forward(port, service, workload, emit, restarts) for port in ports]
                for one, server in zip(forwards, sockets, strict=True):
                    tasks.create_task(one.accept(server, tasks), name=f"forward {service} {one.port.local}")
                async with aclosing(workload.follow()) as changes:
                    async for _ in changes:
                        for one in forwards:
                            one.tell()
        except BaseExceptionGroup as failures:
            raise single_failure(failures) from None


class Target(NamedTuple):
    """A pod that connections can go to."""

    name: str
    uid: str
    ready: bool
    alone: bool
    """Nothing else than one container can have the connections."""


class Workload:
    """Where a service runs now."""

    def __init__(self, client: Client, namespace: str, selector: str, tasks: asyncio.TaskGroup) -> None:
        self._client = client
        self._namespace = namespace
        self.target: Target | None = None
        """The pod that new connections go to."""
        self._selector = selector
        self._alive: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self._tasks = tasks
        self._tunnels: dict[str, Tunnels] = {}

    async def follow(self) -> AsyncGenerator[None, None]:
        """Keep up with the cluster; yields after each change."""
        changes = pods_of(self._client, namespace=self._namespace, selector=self._selector)
        async with aclosing(changes):
            async for pods in changes:
                self.target = best_target(pods)
                self._alive = frozenset(pod["metadata"]["uid"] for pod in pods if not _has_ended(pod))
                self._changed.set()
                self._changed = asyncio.Event()
                for uid in [uid for uid in self._tunnels if uid not in self._alive]:
                    self._tunnels.pop(uid).close()
                yield

    def tunnels(self, target: Target) -> Tunnels:
        """The tunnels to a pod, kept as long as it lives."""
        if target.uid not in self._tunnels:
            self._tunnels[target.uid] = Tunnels(self._client, self._namespace, target.name, self._tasks)
        return self._tunnels[target.uid]

    async def wait_changed(self, timeout: float) -> None:
        """Return at the next change, or after ``timeout`` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._changed.wait()

    async def wait_gone(self, target: Target) -> None:
        """Raises ConnectionFailed once the pod is gone: a node that died never closes its connections."""
        while target.uid in self._alive:
            await self._changed.wait()
        raise ConnectionFailed(f"pod {target.name} is gone")


def best_target(pods: Sequence[Pod]) -> Target | None:
    """The newest ready pod, else the newest running one; ``pods`` come oldest first."""
    targets = [
        Target(pod["metadata"]["name"], pod["metadata"]["uid"], _is_ready(pod), _is_alone(pod))
        for pod in pods
        if not is_terminating(pod) and pod.get("status", {}).get("phase") == "Running"
    ]
    candidates = [target for target in targets if target.ready] or targets
    return candidates[-1] if candidates else None


def _is_ready(pod: Pod) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _is_alone(pod: Pod) -> bool:
    spec = pod.get("spec") or {}
    sidecars = [one for one in spec.get("initContainers") or [] if one.get("restartPolicy") == "Always"]
    return len(spec.get("containers") or []) + len(sidecars) == 1


def _has_ended(pod: Pod) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


class Forward:
    """One local port."""

    def __init__(
        self, port: PortForward, service: str, workload: Workload, emit: Emit, restarts: Restarts | None
    ) -> None:
        self.port = port
        self._service = service
        self._workload = workload
        self._emit = emit
        self._restarts = restarts if restarts is not None else Restarts()
        self._told: Forwarding | None = None
        self._trouble: tuple[Target, str] | None = None
        self._proven = ""
        self._short = False

    async def accept(self, server: socket.socket, tasks: asyncio.TaskGroup) -> None:
        """Take connections until cancelled; each runs as a task of ``tasks``."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(server)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    continue
                # the connection stays in the backlog until others are closed
                self._tell_shortage(error)
                await asyncio.sleep(LONGEST_PAUSE)
                continue
            tasks.create_task(self._serve(connection), name=f"connection to port {self.port.local}")

    def tell(self) -> None:
        """Report the state, if it is another one than before."""
        target = self._workload.target
        if target is None:
            self._report("waiting", message="no pod runs")
        elif self._trouble and self._trouble[0] == target:
            self._report("waiting", pod=target.name, message=self._trouble[1])
        elif target.ready or target.uid == self._proven:
            self._report("up", pod=target.name)
        else:
            self._report("waiting", pod=target.name, message=f"pod {target.name} is not ready")

    async def _serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection, limit=CHUNK)
        local = LocalConnection(reader, writer)
        try:
            await self._connect(local)
        except (LoopError, OSError):
            local.refuse()
        finally:
            writer.close()

    async def _connect(self, local: LocalConnection) -> None:
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + PATIENCE_SECONDS, FIRST_PAUSE
        while not local.has_left():
            target = self._workload.target
            try:
                if target is not None:
                    return await self._carry(local, target)
            except KubeError as error:
                assert target is not None
                self._take_note(target, error)
                final = isinstance(error, Forbidden | Unauthorized)
                if final or not local.untouched or loop.time() > deadline:
                    raise
            if loop.time() > deadline:
                raise ConnectionFailed("no pod takes the connection")
            await self._workload.wait_changed(pause)
            pause = min(pause * 1.3, LONGEST_PAUSE)

    async def _carry(self, local: LocalConnection, target: Target) -> None:
        workload = self._workload
        # asked for before: the container may take the connection long before we are told
        replaced = self._restarts.replacement(self._service, target.name) if target.alone else asyncio.Event()
        async with workload.tunnels(target).open_connection(self.port.remote) as remote:
            await local.carry(
                remote,
                until=lambda: workload.wait_gone(target),
                replaced=replaced,
                on_taken=lambda: self._take_success(target),
            )

    def _take_note(self, target: Target, error: KubeError) -> None:
        if isinstance(error, Forbidden | Unauthorized):
            self._report("failed", pod=target.name, message=error.message)
        elif not isinstance(error, PortForwardError) or error.refused:
            self._trouble = (target, error.message)
            self.tell()

    def _take_success(self, target: Target) -> None:
        self._proven = target.uid
        if self._trouble and self._trouble[0].uid == target.uid:
            self._trouble = None
        self.tell()

    def _tell_shortage(self, error: OSError) -> None:
        if not self._short:
            self._short = True
            message = f"port {self.port.local} takes no more connections for now: {error.strerror}"
            self._emit(Notice(level="warning", message=message, hint="raise the limit of open files (ulimit -n)"))

    def _report(self, state: Literal["up", "waiting", "failed"], *, pod: str = "", message: str = "") -> None:
        event = Forwarding(
            service=self._service,
            address=self.port.address,
            local=self.port.local,
            remote=self.port.remote,
            state=state,
            pod=pod,
            message=message,
        )
        if event != self._told:
            self._told = event
            self._emit(event)
