"""Sync: local folders to every running container of a dev target, for as long as the session lives."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Literal

from innerloop.dev import helper
from innerloop.dev.ignoring import IGNORE_FILE, Ignore, Predicate, read_rules
from innerloop.dev.local_tree import Key, LocalTree, Look, look, sync_root
from innerloop.dev.pods import PodContainer, follow_pods
from innerloop.dev.sync_connection import ExecOutput, connected
from innerloop.dev.sync_container import ContainerSync
from innerloop.dev.watching import watch
from innerloop.errors import LoopError, single_failure
from innerloop.events import Emit, Notice
from innerloop.kube import execution
from innerloop.kube.client import Client
from innerloop.kube.failures import CommandNotStarted
from innerloop.project import DevTarget

RETRY_SECONDS = (0.1, 0.3, 1.0, 3.0, 5.0)
"""Waits before a broken stream is opened again; the last one is repeated."""
_QUIET_FAILURES = 2
"""Streams that break when a container ends are no news."""
_FEW = 16
"""So many files are looked at in the event loop, since a thread takes longer to wake up."""

ContainerState = Literal["connecting", "in sync"]


class SyncState:
    """How far a target's containers are: for whoever waits for the first sync, and for those who ask."""

    def __init__(self) -> None:
        self.containers: dict[PodContainer, ContainerState] = {}
        self._in_sync = asyncio.Event()

    @property
    def in_sync(self) -> bool:
        """Every running container of the target, at least one, has what is here; errors of paths were told."""
        return self._in_sync.is_set()

    async def wait_in_sync(self) -> None:
        await self._in_sync.wait()

    def set(self, container: PodContainer, state: ContainerState) -> None:
        self.containers[container] = state
        self._update()

    def drop(self, container: PodContainer) -> None:
        self.containers.pop(container, None)
        self._update()

    def _update(self) -> None:
        if self.containers and all(state == "in sync" for state in self.containers.values()):
            self._in_sync.set()
        else:
            self._in_sync.clear()


async def sync(
    client: Client,
    target: DevTarget,
    *,
    namespace: str,
    selector: str,
    emit: Emit,
    state: SyncState | None = None,
    left_out: Predicate | None = None,
) -> None:
    """Keep the target's folders the same in all of its running containers, until cancelled.

    Local files win; what only a container has is left alone, until its path is deleted here. Restarts the process when
    a file changed that the target's ``restart`` names. ``left_out`` names local paths that do not count, beside those
    that ignore files and the target name (an image's .dockerignore). Emits Synced, ProcessState and Notice; broken
    streams are opened again, and compared anew.

    Raises LoopError when a folder does not exist, or the system does not let us watch it.
    """
    for path in target.sync:
        if not path.local.exists():
            raise LoopError(f"dev.{target.name}.sync: {path.local} does not exist")
    syncing = _Syncing(client, target, namespace, emit, state or SyncState(), left_out)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(syncing.follow_files(), name=f"watch files of {target.name}")
            tasks.create_task(syncing.follow_containers(selector, tasks), name=f"follow pods of {target.name}")
    except BaseExceptionGroup as group:
        raise single_failure(group) from None


async def restart(client: Client, target: str, *, namespace: str, selector: str) -> list[PodContainer]:
    """Restart the process in every running container of a target; returns them once the new processes run.

    Raises LoopError when there is none, or when a process cannot be restarted.
    """
    async with aclosing(follow_pods(client, namespace=namespace, selector=selector, target=target)) as changes:
        containers = await anext(changes)
    if not containers:
        raise LoopError(f"no container of {target} runs", hint="loop status tells why; loop dev starts it")
    try:
        async with asyncio.TaskGroup() as tasks:
            for container in containers:
                tasks.create_task(_restart_one(client, namespace, container), name=f"restart {container.pod}")
    except BaseExceptionGroup as group:
        raise single_failure(group) from None
    return list(containers)


async def _restart_one(client: Client, namespace: str, container: PodContainer) -> None:
    command = (helper.PROGRAM, "restart")
    try:
        result = await execution.run(client, namespace, container.pod, container.container, command)
    except CommandNotStarted as error:
        raise _no_helper(container, error) from error
    if result.code:
        raise LoopError(
            f"the process in {container.pod}/{container.container} was not restarted",
            detail=result.stderr.decode(errors="replace").strip(),
        )


def _no_helper(container: PodContainer, error: LoopError) -> LoopError:
    return LoopError(
        f"the container {container.pod}/{container.container} is not set up for development",
        detail=error.detail,
        hint="loop dev sets it up; it also runs its process under the helper, if the command is known",
    )


class _Syncing:
    """The tree, the containers that get it, and what keeps both current."""

    def __init__(
        self,
        client: Client,
        target: DevTarget,
        namespace: str,
        emit: Emit,
        state: SyncState,
        left_out: Predicate | None,
    ) -> None:
        self._client = client
        self._target = target
        self._namespace = namespace
        self._emit = emit
        self._state = state
        self._left_out = left_out
        self._tree = LocalTree([sync_root(path) for path in target.sync])
        self._looked = asyncio.Event()
        self._containers: dict[PodContainer, tuple[ContainerSync, asyncio.Task[None]]] = {}
        self._told: set[Key] = set()

    async def follow_files(self) -> None:
        """Keep the tree current; begins anew when ignore rules change, since they decide what is watched."""
        everything = [Key(number, root.only) for number, root in enumerate(self._tree.roots)]
        while True:
            rules = [await read_rules(path.local, path.exclude, self._left_out) for path in self._target.sync]

            def ignore(path: Path, folder: bool, rules: Iterable[Ignore] = rules) -> bool:
                return all(one(path, folder) for one in rules if one.covers(path))

            places = [path.local for path in self._target.sync]
            with watch([*places, *(file for one in rules for file in one.files_above)], ignore) as changes:
                await self._look(everything, rules)
                self._looked.set()
                async for batch in changes:
                    await self._look([key for path in batch for key in self._tree.keys(path)], rules)
                    if any(path.name == IGNORE_FILE for path in batch):
                        break

    async def follow_containers(self, selector: str, tasks: asyncio.TaskGroup) -> None:
        """Keep one stream to each running container."""
        changes = follow_pods(self._client, namespace=self._namespace, selector=selector, target=self._target.name)
        async with aclosing(changes):
            async for running in changes:
                await self._looked.wait()
                for container in self._containers.keys() - set(running):
                    self._containers.pop(container)[1].cancel()
                    self._state.drop(container)
                for container in running:
                    if container not in self._containers:
                        self._state.set(container, "connecting")
                        one = ContainerSync(self._tree, self._target, container, self._emit)
                        task = tasks.create_task(self._keep(one, container), name=f"sync {container.pod}")
                        self._containers[container] = one, task

    async def _look(self, keys: list[Key], rules: list[Ignore]) -> None:
        since = asyncio.get_running_loop().time()
        ignores = {number: one.ignores for number, one in enumerate(rules)}
        if len(keys) <= _FEW and not any(self._tree.place(key).is_dir() for key in keys):
            seen = look(self._tree, keys, ignores)
        else:
            seen = await asyncio.to_thread(look, self._tree, keys, ignores)
        changed = self._tree.take(seen, lambda key, folder: ignores[key.root](os.fsdecode(key.path), folder))
        self._tell_unreadable(seen)
        # also what is as before: it may have been sent while it was something else for a moment
        for one, _ in self._containers.values():
            one.mark(changed | seen.found.keys(), since)

    def _tell_unreadable(self, seen: Look) -> None:
        for key, error in seen.errors.items():
            # a file that became a link while it was looked at is a change of its own
            if key not in self._told and error.errno != errno.ELOOP:
                self._told.add(key)
                place = self._tree.place(key)
                why = (
                    "is gone; containers keep what they have of it"
                    if not key.path
                    else f"cannot be read: {error.strerror}"
                )
                self._emit(Notice(level="warning", message=f"{self._target.name}: {place} {why}"))
        self._told.difference_update(seen.found)

    async def _keep(self, one: ContainerSync, container: PodContainer) -> None:
        """Keep a stream to a container; it ends by being cancelled, when the container does not run any more."""
        failures = 0
        while True:
            try:
                await self._connect(one, container)
            except CommandNotStarted as error:
                if not failures:
                    self._tell_broken(_no_helper(container, error))
            except LoopError as error:
                if failures == _QUIET_FAILURES:
                    self._tell_broken(error)
            if self._state.containers.get(container) == "in sync":
                failures = 0
            self._state.set(container, "connecting")
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
            failures += 1

    async def _connect(self, one: ContainerSync, container: PodContainer) -> None:
        # without folders the stream still tells of the process; the helper wants to be named one
        command = [helper.PROGRAM, "sync", *([root.remote for root in self._tree.roots] or ["/"])]
        place = (self._namespace, container.pod, container.container)
        async with (
            execution.open_exec(self._client, *place, command, stdin=True) as stream,
            connected(ExecOutput(stream), one.on_reply) as connection,
        ):
            await one.bring_up_to_date(connection)
            self._state.set(container, "in sync")
            await one.follow(connection)

    def _tell_broken(self, error: LoopError) -> None:
        message = f"{self._target.name}: sync is interrupted: {error.message}"
        self._emit(Notice(level="warning", message=message, detail=error.detail or "", hint=error.hint or ""))
