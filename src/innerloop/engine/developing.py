"""``loop dev``: everything around a session that lives as long as it does."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Literal

from innerloop.config.dependencies import Tree
from innerloop.dev.listening import check_free
from innerloop.engine.claims import claimed
from innerloop.engine.connecting import connected
from innerloop.engine.control import serving
from innerloop.engine.deploying import Loader, make_plan, purge_tree
from innerloop.engine.scope import Scope
from innerloop.engine.session import Session
from innerloop.engine.snapshot import Snapshot
from innerloop.engine.targets import choose
from innerloop.errors import single_failure
from innerloop.events import Emit, Event, Notice, SessionEnded, StepStarted
from innerloop.project import DevTarget

Request = Literal["rebuild", "quit"]
"""What a user may ask a running session for."""


async def develop(
    load: Loader,
    services: tuple[str, ...],
    emit: Emit,
    *,
    requests: asyncio.Queue[Request],
    patient: bool,
    purge: bool = False,
    take_over: bool = False,
    force: bool = False,
) -> None:
    """Run a session until it is cancelled or asked to quit; ``purge``: remove then what was deployed.

    Raises LoopError when it can't begin, or when a step fails and the session is not ``patient``.
    """
    tree = await load(emit)
    targets = choose(tree.project, services)
    snapshot = _snapshot(tree, targets)
    applied = False

    def tell(event: Event) -> None:
        nonlocal applied
        applied = applied or (isinstance(event, StepStarted) and event.step == "apply")
        snapshot(event)
        emit(event)

    if not targets:
        message = f"{tree.project.name} has no dev targets: nothing is synced or forwarded"
        tell(Notice(level="info", message=message, hint="name what to develop in loop.yaml, under dev:"))
    async with connected(tree.project, tell) as scope:
        snapshot.context = scope.context
        try:
            async with asyncio.TaskGroup() as group:
                planning = group.create_task(make_plan(tree, scope, take_over=take_over, force=force), name="plan")
                async with _announced(tree, targets, scope, snapshot):
                    # while nothing is deployed yet; later it could only be told
                    check_free(port for target in targets for port in target.ports)
                    plan = (await planning)._replace(develop=targets)
                    await _until_quit(Session(load, tree, plan, patient=patient), requests)
        except BaseExceptionGroup as failures:
            raise single_failure(failures) from None
        finally:
            if purge:
                await purge_tree(tree, scope)
            left = (
                "ended; what was deployed stays (loop purge removes it)" if applied else "ended, nothing was deployed"
            )
            tell(SessionEnded(project=tree.project.name, reason="all removed" if purge else left))


@contextlib.asynccontextmanager
async def _announced(
    tree: Tree, targets: tuple[DevTarget, ...], scope: Scope, snapshot: Snapshot
) -> AsyncIterator[None]:
    """Let sessions elsewhere and commands here know of this one."""
    project = tree.project
    async with (
        claimed(
            scope.client,
            namespace=project.namespace,
            project=project.name,
            services=[target.name for target in targets],
            folder=project.folder,
            emit=scope.emit,
        ),
        serving(project.folder, snapshot),
    ):
        yield


async def _until_quit(session: Session, requests: asyncio.Queue[Request]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(session.run(), name="session")
            while True:
                request = group.create_task(requests.get(), name="wait for a request")
                await asyncio.wait([running, request], return_when=asyncio.FIRST_COMPLETED)
                if running.done() or request.result() == "quit":
                    request.cancel()
                    running.cancel()
                    return
                session.rebuild()
    except BaseExceptionGroup as failures:
        raise single_failure(failures) from None


def _snapshot(tree: Tree, targets: tuple[DevTarget, ...]) -> Snapshot:
    project = tree.project
    return Snapshot(
        project=project.name,
        context=project.context,
        namespace=project.namespace,
        folder=str(project.folder),
        pid=os.getpid(),
        started=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        services=[target.name for target in targets],
    )
