"""``loop sync``: sync alone, of what a session deployed for development and left running."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

from innerloop.dev.sync.state import SyncState
from innerloop.engine import control
from innerloop.engine.deployed import service_workloads
from innerloop.engine.developing import announced
from innerloop.engine.foreign import check_foreign
from innerloop.engine.scope import Scope
from innerloop.engine.services import Service
from innerloop.engine.snapshot import snapshot_of
from innerloop.engine.targets import choose, local_files, sync_service
from innerloop.engine.workloads import Workload
from innerloop.errors import LoopError, single_failure
from innerloop.events import Emit, Event, Notice, SessionEnded, SessionReady
from innerloop.project import DevTarget, Project


async def keep_in_sync(project: Project, services: tuple[str, ...], scope: Scope) -> None:
    """Sync the services (all that are deployed for development, where none is named) until cancelled.

    Raises LoopError when one is not deployed for development, or another session develops it.
    """
    began = time.monotonic()
    async with _syncing(project, services, scope) as syncing:
        for _, state in syncing.states:
            await state.wait_in_sync()
        syncing.emit(
            SessionReady(
                project=project.name,
                context=scope.context,
                namespace=project.namespace,
                seconds=time.monotonic() - began,
            )
        )
        try:
            await asyncio.Event().wait()
        finally:
            syncing.emit(SessionEnded(project=project.name, reason="ended; containers keep what they have"))


async def make_live(project: Project, services: tuple[str, ...], scope: Scope, patience: float) -> None:
    """Return when all that was saved before the call is live in every container of the services.

    A session that develops a service is asked, the others are synced here. Where no service is named, those of the
    running sessions are meant, and without one, all that are deployed for development.

    Raises LoopError when something cannot be synced, or a container is out of reach for ``patience`` seconds.
    """
    began = time.monotonic()
    names = {target.name for target in choose(project, services)}
    done: set[str] = set()
    problems: list[str] = []
    for session in await control.sessions(project.folder):
        theirs = names & set(session.services)
        if theirs and (session.context, session.namespace) == (scope.context, project.namespace):
            problems += await control.wait_live(project.folder, session.pid, tuple(sorted(theirs)), patience)
            done |= theirs
    here = tuple(name for name in services if name not in done)
    if here or not done:
        async with _syncing(project, here, scope) as syncing:
            problems += await syncing.wait_live((), patience)
            done |= {target for target, _ in syncing.states}
    if problems:
        raise LoopError("not everything is live", detail="\n".join(problems))
    milliseconds = (time.monotonic() - began) * 1000
    scope.emit(Notice(level="info", message=f"live: {', '.join(sorted(done))} ({milliseconds:.0f} ms)"))


class _Syncing(NamedTuple):
    """Syncs that run."""

    states: list[tuple[str, SyncState]]
    """Each with its target."""
    emit: Emit

    async def wait_live(self, services: Iterable[str], patience: float) -> list[str]:
        wanted = set(services)
        states = [state for target, state in self.states if not wanted or target in wanted]
        return [problem for state in states for problem in await state.wait_live(patience)]


@contextlib.asynccontextmanager
async def _syncing(project: Project, services: tuple[str, ...], scope: Scope) -> AsyncIterator[_Syncing]:
    """Sync while the body runs, as a session that others see."""
    pairs = _developed(project, services, await service_workloads(scope.client, project))
    for target, workload in pairs:
        if workload.foreign:
            await check_foreign(scope.client, target, workload)
    targets = list({target.name: target for target, _ in pairs}.values())
    snapshot = snapshot_of(project, [target.name for target in targets])
    snapshot.context = scope.context
    show = scope.emit

    def tell(event: Event) -> None:
        snapshot(event)
        show(event)

    states = [SyncState() for _ in pairs]
    syncing = _Syncing([(target.name, state) for (target, _), state in zip(pairs, states, strict=True)], tell)
    scope = scope._replace(emit=tell)
    try:
        async with announced(project, targets, scope, snapshot, syncing.wait_live), asyncio.TaskGroup() as group:
            files = {target.name: local_files(project, target, tell) for target in targets}
            looking = [group.create_task(one.run(), name=f"files/{name}") for name, one in files.items()]
            runs = [
                sync_service(project, target, files[target.name], workload, scope, state)
                for (target, workload), state in zip(pairs, states, strict=True)
            ]
            tasks = [*looking, *(group.create_task(_run(service), name=service.name) for service in runs)]
            yield syncing
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as failures:
        raise single_failure(failures) from None


async def _run(service: Service) -> None:
    await service.run()


def _developed(
    project: Project, services: tuple[str, ...], found: Iterable[Workload]
) -> list[tuple[DevTarget, Workload]]:
    """The targets with a workload each that was deployed for their development."""
    pairs = []
    workloads = list(found)
    for target in choose(project, services):
        of_target = [one for one in workloads if target.name in one.targets]
        if services and not of_target:
            raise LoopError(f"{target.name} is not deployed for development", hint=f"loop dev {target.name} does that")
        if target.sync or target.restart:
            pairs += [(target, one) for one in of_target]
        elif services:
            raise LoopError(
                f"nothing of {target.name} is synced",
                where=project.where("dev"),
                hint=f"name folders: dev.{target.name}.sync",
            )
    if not pairs:
        raise LoopError(f"nothing of {project.name} is deployed for development", hint="loop dev does that")
    return pairs
