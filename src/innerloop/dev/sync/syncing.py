"""Sync: local folders to every running container of a dev target, for as long as the session lives."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from innerloop.dev import helper
from innerloop.dev.ignoring import IGNORE_FILE, Ignore, Predicate, read_rules
from innerloop.dev.pods import PodContainer, follow_pods
from innerloop.dev.restarting import no_helper
from innerloop.dev.sync.actions import Surroundings
from innerloop.dev.sync.beginning import Beginning
from innerloop.dev.sync.carrying import Carrying
from innerloop.dev.sync.connection import ExecOutput, connected
from innerloop.dev.sync.container import ContainerSync, Shared
from innerloop.dev.sync.covering import covered_paths, without
from innerloop.dev.sync.laptop import Laptop, LaptopCommands
from innerloop.dev.sync.local_tree import Key, LocalTree, Look, look, sync_root
from innerloop.dev.sync.memory import give_back
from innerloop.dev.sync.names import shown
from innerloop.dev.sync.state import StreamState, SyncState
from innerloop.dev.sync.uploading import upload, uploaded_notice
from innerloop.dev.watching.batches import Watch
from innerloop.dev.watching.watching import watch
from innerloop.errors import LoopError, single_failure
from innerloop.events import Emit, Notice, SyncStream
from innerloop.kube import execution
from innerloop.kube.client import Client
from innerloop.kube.failures import CommandNotStarted
from innerloop.project import DevTarget

RETRY_SECONDS = (0.1, 0.3, 1.0, 3.0, 5.0)
"""Waits before a broken stream is opened again; the last one is repeated."""
STUCK_SECONDS = 5.0
"""How long a command of this machine waits for a container that does not take what it follows."""
_FEW = 16
"""So many files are looked at in the event loop, since a thread takes longer to wake up."""
_MANY = 5000
"""Comparing so many files takes megabytes that are not needed afterwards."""


async def sync(
    client: Client,
    target: DevTarget,
    *,
    namespace: str,
    selector: str,
    emit: Emit,
    state: SyncState | None = None,
    left_out: Predicate | None = None,
    built: Callable[[Path], bool] | None = None,
    laptop: Laptop | None = None,
    foreign: bool = False,
) -> None:
    """Keep the target's folders the same in all of its running containers, until cancelled.

    Where a path's direction is ``upload``, what only a container has is left alone, until its path is deleted here.
    Else a container's changes are written here, and go from here to the other containers. Runs the target's actions for
    what was sent, and restarts the process when a file was sent that the target's ``restart`` names. ``left_out`` names
    local paths that do not count, beside those that ignore files and the target name (an image's .dockerignore);
    ``built`` files that only a new image brings. ``laptop`` is where commands of this machine run, and in whose state
    folder is kept what the first comparison replaces here; the working directory unless given. ``foreign``: nobody set
    the pods up for development, so the helper is brought by exec.

    Emits SyncStream, SyncProgress, Synced, ProcessState, Notice, and a step for each action; broken streams are opened
    again, and compared anew.

    Raises LoopError when a folder does not exist, or the system does not let us watch it.
    """
    scope = _Scope(client, target, namespace, emit, left_out, built, foreign)
    state = state or SyncState()
    syncing = _Syncing(scope, state, laptop or Laptop(Path.cwd(), {}))
    try:
        _check_folders(target)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(syncing.follow_files(), name=f"watch files of {target.name}")
            tasks.create_task(syncing.follow_containers(selector, tasks), name=f"follow pods of {target.name}")
    except BaseExceptionGroup as group:
        failure = single_failure(group)
        if isinstance(failure, LoopError):
            state.fail(failure)
        raise failure from None
    except LoopError as error:
        state.fail(error)
        raise
    finally:
        syncing.end()


def _check_folders(target: DevTarget) -> None:
    for path in target.sync:
        if not path.local.exists():
            raise LoopError(f"dev.{target.name}.sync: {path.local} does not exist")


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
    namespace: str
    emit: Emit
    left_out: Predicate | None
    built: Callable[[Path], bool] | None
    foreign: bool


class _Syncing:
    """The tree, the containers that get it, and what keeps both current."""

    def __init__(self, scope: _Scope, state: SyncState, laptop: Laptop) -> None:
        self._scope = scope
        self._client = scope.client
        self._target = scope.target
        self._namespace = scope.namespace
        self._emit = scope.emit
        self._state = state
        self._laptop = LaptopCommands(laptop, self._wait_caught_up)
        self._tree = LocalTree([sync_root(path) for path in scope.target.sync])
        self._covered = covered_paths(self._tree.roots)
        carrying = Carrying(scope.target.sync, self._tree.roots)
        beginning = Beginning(scope.target.sync, laptop.folder)
        self._shared = Shared(self._tree, carrying, beginning, self._tell_all)
        self._looked = asyncio.Event()
        self._containers: dict[PodContainer, tuple[ContainerSync, asyncio.Task[None]]] = {}
        self._told: dict[Key, str] = {}
        self._told_upload = False
        self._changes: Watch | None = None
        state.begin(self.catch_up)

    async def catch_up(self) -> list[str]:
        """Look at everything that was saved until now; returns what can't be read."""
        while True:
            await self._looked.wait()
            # one that ends meanwhile makes place for one that begins with a look at everything
            if self._changes is None or await self._changes.caught_up():
                return list(self._told.values())

    def end(self) -> None:
        """Nothing is synced any more."""
        for container in list(self._containers):
            self._drop(container)
        self._changes = None
        self._looked.set()
        self._state.fail(LoopError(f"the sync of {self._target.name} ended"))

    async def follow_files(self) -> None:
        """Keep the tree current; begins anew when ignore rules change, since they decide what is watched."""
        everything = [Key(number, root.only) for number, root in enumerate(self._tree.roots)]
        while True:
            left_out, built = self._scope.left_out, self._scope.built
            rules = [await read_rules(path.local, path.exclude, left_out, built) for path in self._target.sync]

            def ignore(path: Path, folder: bool, rules: Iterable[Ignore] = rules) -> bool:
                return all(one(path, folder) for one in rules if one.covers(path))

            places = [path.local for path in self._target.sync]
            with watch([*places, *(file for one in rules for file in one.files_above)], ignore) as changes:
                # they also decide what containers are asked about
                self._shared.carrying.rules = rules
                await self._look(everything, rules)
                self._changes = changes
                self._looked.set()
                for one, _ in self._containers.values():
                    one.mark_all()
                try:
                    async for batch in changes:
                        await self._look(list(self._keys(batch, rules)), rules)
                        if any(path.name == IGNORE_FILE for path in batch):
                            break
                finally:
                    self._looked.clear()

    async def follow_containers(self, selector: str, tasks: asyncio.TaskGroup) -> None:
        """Keep one stream to each running container."""
        changes = follow_pods(
            self._client,
            namespace=self._namespace,
            selector=selector,
            target=self._target.name,
            foreign=self._target if self._scope.foreign else None,
        )
        async with aclosing(changes):
            async for running in changes:
                await self._looked.wait()
                for container in self._containers.keys() - set(running):
                    self._drop(container)
                for container in running:
                    if container not in self._containers:
                        one = self._container_sync(container)
                        self._set(container, one, "connecting")
                        task = tasks.create_task(self._keep(one, container), name=f"sync {container.pod}")
                        self._containers[container] = one, task

    def _ignores(self, rules: list[Ignore]) -> dict[int, Callable[[str, bool], bool]]:
        """Of each root, whether a path in it does not count."""
        return {number: without(self._covered[number], one.ignores) for number, one in enumerate(rules)}

    def _keys(self, paths: Iterable[Path], rules: list[Ignore]) -> Iterator[Key]:
        """The keys of changed paths. One that belongs to several roots may not count in each of them."""
        ignores = self._ignores(rules)
        for path in paths:
            keys = list(self._tree.keys(path))
            # what one root alone has, and does not count there, is not told by the watcher
            alone = len(keys) == 1 and not self._covered[keys[0].root]
            yield from keys if alone else [key for key in keys if not self._is_left_out(key, ignores)]

    def _is_left_out(self, key: Key, ignores: Mapping[int, Callable[[str, bool], bool]]) -> bool:
        if not key.path or self._tree.roots[key.root].only:
            return False
        place = self._tree.place(key)
        return ignores[key.root](os.fsdecode(key.path), place.is_dir() and not place.is_symlink())

    def _tell_all(self, keys: Collection[Key]) -> None:
        for one, _ in self._containers.values():
            one.mark(keys, asyncio.get_running_loop().time())

    async def _look(self, keys: list[Key], rules: list[Ignore]) -> None:
        since = asyncio.get_running_loop().time()
        ignores = self._ignores(rules)
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
                place = self._tree.place(key)
                why = (
                    "is gone; containers keep what they have of it"
                    if not key.path
                    else f"cannot be read: {error.strerror}"
                )
                self._told[key] = f"{self._target.name}: {shown(place)} {why}"
                self._emit(Notice(level="warning", message=self._told[key]))
        for key in self._told.keys() & seen.found:
            del self._told[key]

    def _container_sync(self, container: PodContainer) -> ContainerSync:
        place = (self._namespace, container.pod, container.container)
        surroundings = Surroundings(partial(execution.stream, self._client, *place), self._laptop, self._emit)
        one = ContainerSync(self._shared, self._target, container, self._emit, surroundings)
        one.on_live = self._state.wake
        return one

    async def _wait_caught_up(self) -> None:
        """Return when all containers that are in sync have the last changes; a stuck one is not waited for long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STUCK_SECONDS):
                for container, (one, _) in list(self._containers.items()):
                    stream = self._state.containers.get(container)
                    if stream and stream.state == "in sync":
                        await one.wait_caught_up()

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
        command = [program, "sync", *([root.remote for root in self._tree.roots] or ["/"])]
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
            if len(self._tree.entries) > _MANY:
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

    def _drop(self, container: PodContainer) -> None:
        self._containers.pop(container)[1].cancel()
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
