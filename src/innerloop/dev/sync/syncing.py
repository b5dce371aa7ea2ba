"""Sync: local folders to every running container of a dev target, for as long as the session lives."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from innerloop.dev import helper
from innerloop.dev.evictions import Evictions
from innerloop.dev.pods import Pod, PodContainer, follow_pods
from innerloop.dev.restarting import no_helper
from innerloop.dev.sync.actions import Surroundings
from innerloop.dev.sync.beginning import Beginning
from innerloop.dev.sync.connection import ExecOutput, connected
from innerloop.dev.sync.container import ContainerSync, Shared
from innerloop.dev.sync.laptop import Laptop, LaptopCommands
from innerloop.dev.sync.local_files import LocalFiles
from innerloop.dev.sync.memory import give_back
from innerloop.dev.sync.state import StreamState, SyncState
from innerloop.dev.sync.uploading import upload, uploaded_notice
from innerloop.errors import LoopError, single_failure
from innerloop.events import Emit, SyncStream
from innerloop.kube import execution
from innerloop.kube.client import Client
from innerloop.kube.failures import CommandNotStarted
from innerloop.project import DevTarget

RETRY_SECONDS = (0.1, 0.3, 1.0, 3.0, 5.0)
"""Waits before a broken stream is opened again; the last one is repeated."""
STUCK_SECONDS = 5.0
"""How long a command of this machine waits for a container that does not take what it follows."""
_MANY = 5000
"""Comparing so many files takes megabytes that are not needed afterwards."""


async def sync(
    client: Client,
    target: DevTarget,
    files: LocalFiles,
    *,
    namespace: str,
    selector: str,
    emit: Emit,
    state: SyncState | None = None,
    laptop: Laptop | None = None,
    foreign: bool = False,
) -> None:
    """Keep the target's folders the same in all of its running containers, until cancelled.

    ``files`` are those of the target; whoever made them runs them, from before this or from now on.

    Where a path's direction is ``upload``, what only a container has is left alone, until its path is deleted here.
    Else a container's changes are written here, and go from here to the other containers. Runs the target's actions for
    what was sent, and restarts the process when a file was sent that the target's ``restart`` names. ``laptop`` is
    where commands of this machine run, and in whose state folder is kept what the first comparison replaces here; the
    working directory unless given. ``foreign``: nobody set the pods up for development, so the helper is brought by
    exec.

    Emits SyncStream, SyncProgress, Synced, ProcessState, Notice, and a step for each action; broken streams are opened
    again, and compared anew.

    Raises the LoopError that ended ``files``.
    """
    scope = _Scope(client, target, files, namespace, emit, foreign)
    state = state or SyncState()
    syncing = _Syncing(scope, state, laptop or Laptop(Path.cwd(), {}))
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(files.wait_failed(), name=f"fail with files of {target.name}")
            tasks.create_task(syncing.follow_containers(selector, tasks), name=f"follow pods of {target.name}")
    except BaseExceptionGroup as group:
        failure = single_failure(group)
        if isinstance(failure, LoopError):
            state.fail(failure)
        raise failure from None
    finally:
        syncing.end()


def _no_way_in(container: PodContainer, error: LoopError) -> LoopError:
    return LoopError(
        f"the helper cannot be brought to {container.pod}/{container.container}, which was not set up for development",
        detail="\n".join(filter(None, (error.message, error.detail))),
        hint="an image with a shell and a folder to write to is needed; where the project's own manifests make the pod,"
        " neither is",
    )


class _Scope(NamedTuple):
    """What ``sync`` was asked for."""

    client: Client
    target: DevTarget
    files: LocalFiles
    namespace: str
    emit: Emit
    foreign: bool


class _Syncing:
    """The containers that get the files, and what keeps them current."""

    def __init__(self, scope: _Scope, state: SyncState, laptop: Laptop) -> None:
        self._scope = scope
        self._client = scope.client
        self._target = scope.target
        self._namespace = scope.namespace
        self._emit = scope.emit
        self._state = state
        # a stuck container is not waited for long
        self._laptop = LaptopCommands(laptop, partial(state.wait_there, STUCK_SECONDS))
        self._files = files = scope.files
        beginning = Beginning(scope.target.sync, laptop.folder)
        self._shared = Shared(files.tree, files.carrying, beginning, files.tell)
        self._containers: dict[PodContainer, tuple[ContainerSync, asyncio.Task[None]]] = {}
        self._told_upload = False
        self._evictions = Evictions(self._target.name)
        state.begin(files.catch_up)

    def end(self) -> None:
        """Nothing is synced any more."""
        for container in list(self._containers):
            self._drop(container)
        self._state.fail(LoopError(f"the sync of {self._target.name} ended"))

    async def follow_containers(self, selector: str, tasks: asyncio.TaskGroup) -> None:
        """Keep one stream to each running container."""
        changes = follow_pods(
            self._client,
            namespace=self._namespace,
            selector=selector,
            target=self._target.name,
            foreign=self._target if self._scope.foreign else None,
            on_pods=self._tell_evictions,
        )
        async with aclosing(changes):
            async for running in changes:
                await self._files.wait_looked()
                for container in self._containers.keys() - set(running):
                    self._drop(container)
                for container in running:
                    if container not in self._containers:
                        one = self._container_sync(container)
                        self._files.receivers.add(one)
                        self._set(container, one, "connecting")
                        task = tasks.create_task(self._keep(one, container), name=f"sync {container.pod}")
                        self._containers[container] = one, task

    def _container_sync(self, container: PodContainer) -> ContainerSync:
        place = (self._namespace, container.pod, container.container)
        surroundings = Surroundings(partial(execution.stream, self._client, *place), self._laptop, self._emit)
        one = ContainerSync(self._shared, self._target, container, self._emit, surroundings)
        one.on_live = self._state.wake
        return one

    async def _keep(self, one: ContainerSync, container: PodContainer) -> None:
        """Keep a container in step; it ends by being cancelled, when the container does not run any more."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(one.run_actions(), name=f"actions in {container.pod}")
            await self._keep_stream(one, container)

    async def _keep_stream(self, one: ContainerSync, container: PodContainer) -> None:
        failures = 0
        program = helper.PROGRAM
        while True:
            try:
                await self._connect(one, container, program)
            except CommandNotStarted as error:
                try:
                    program = await self._upload(container)
                except LoopError as why:
                    reason = _no_way_in(container, why) if self._scope.foreign else no_helper(container, error)
                    self._set(container, one, "interrupted", reason)
            except LoopError as error:
                if self._state.containers[container].state == "in sync":
                    failures = 0
                self._set(container, one, "interrupted", error)
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
            failures += 1

    async def _connect(self, one: ContainerSync, container: PodContainer, program: str) -> None:
        # without folders the stream still tells of the process; the helper wants to be named one
        command = [program, "sync", *([root.remote for root in self._files.tree.roots] or ["/"])]
        place = (self._namespace, container.pod, container.container)
        async with (
            execution.open_exec(self._client, *place, command, stdin=True) as stream,
            connected(ExecOutput(stream), one.on_reply, on_changed=one.on_changed) as connection,
            asyncio.TaskGroup() as tasks,
        ):
            await one.bring_up_to_date(connection, partial(self._set, container, one, "comparing"))
            # an action may take minutes: saves do not wait for it, who waits for the first sync does
            tasks.create_task(one.follow(connection), name=f"follow into {container.pod}")
            await one.wait_settled()
            self._set(container, one, "in sync")
            if len(self._files.tree.entries) > _MANY:
                give_back()

    async def _upload(self, container: PodContainer) -> str:
        """Bring the program to a container that does not have it; returns its path there. Raises LoopError."""
        program = await upload(self._client, self._namespace, container)
        if not self._told_upload:
            self._told_upload = True
            self._emit(uploaded_notice(self._target, container, program))
        return program

    def _set(
        self, container: PodContainer, one: ContainerSync, state: StreamState, error: LoopError | None = None
    ) -> None:
        if self._state.set(container, one, state, error):
            self._tell_stream(container, state, error)

    def _tell_evictions(self, pods: list[Pod]) -> None:
        for notice in self._evictions.news(pods):
            self._emit(notice)

    def _drop(self, container: PodContainer) -> None:
        one, task = self._containers.pop(container)
        self._files.receivers.discard(one)
        task.cancel()
        self._state.drop(container)
        self._tell_stream(container, "ended")

    def _tell_stream(
        self, container: PodContainer, state: StreamState | Literal["ended"], error: LoopError | None = None
    ) -> None:
        self._emit(
            SyncStream(
                service=self._target.name,
                pod=container.pod,
                container=container.container,
                state=state,
                message=error.message if error else "",
                detail=(error.detail if error else None) or "",
                hint=(error.hint if error else None) or "",
            )
        )
