"""``loop dev``: everything around a session that lives as long as it does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Literal

from innerloop.dev.listening import check_free
from innerloop.dev.restarts import Restarts
from innerloop.engine.claims import claimed
from innerloop.engine.connecting import connected
from innerloop.engine.control import Waiter, serving
from innerloop.engine.deploying import Loader, make_plan, purge_tree
from innerloop.engine.scope import Scope
from innerloop.engine.session import Session
from innerloop.engine.snapshot import Snapshot, snapshot_of
from innerloop.engine.targets import choose
from innerloop.engine.truces import end_over, guarded
from innerloop.errors import single_failure
from innerloop.events import Emit, Event, Notice, SessionEnded, StepStarted
from innerloop.project import DevTarget, Project

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
    snapshot, restarts = snapshot_of(tree.project, [target.name for target in targets]), Restarts()
    applied = False

    def tell(event: Event) -> None:
        nonlocal applied
        applied = applied or (isinstance(event, StepStarted) and event.step == "apply")
        snapshot(event)
        restarts(event)
        emit(event)

    if not targets:
        message = f"{tree.project.name} has no dev targets: nothing is synced or forwarded"
        tell(Notice(level="info", message=message, hint="name what to develop in loop.yaml, under dev:"))
    async with connected(tree.project, tell) as scope:
        snapshot.context = scope.context
        try:
            async with asyncio.TaskGroup() as group:
                planning = group.create_task(make_plan(tree, scope, take_over=take_over, force=force), name="plan")
                session: asyncio.Future[Session] = asyncio.get_running_loop().create_future()

                async def wait_live(services: tuple[str, ...], patience: float) -> list[str]:
                    return await (await asyncio.shield(session)).wait_live(services, patience)

                async with (
                    announced(tree.project, targets, scope, snapshot, wait_live),
                    guarded(scope, tree.project, force=force) as guard,
                ):
                    # while nothing is deployed yet; later it could only be told
                    check_free(port for target in targets for port in target.ports)
                    await end_over(scope, tree.project)
                    plan = (await planning)._replace(develop=targets, guard=guard)
                    session.set_result(Session(load, tree, plan, restarts=restarts, patient=patient))
                    await _until_quit(session.result(), requests)
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
async def announced(
    project: Project, targets: Iterable[DevTarget], scope: Scope, snapshot: Snapshot, wait_live: Waiter
) -> AsyncIterator[None]:
    """Let sessions elsewhere and commands here know of this one.

    Raises LoopError that tells who develops a target, when another session does.
    """
    async with (
        claimed(
            scope.client,
            namespace=project.namespace,
            project=project.name,
            services=[target.name for target in targets],
            folder=project.folder,
            emit=scope.emit,
        ),
        serving(project.folder, snapshot, wait_live),
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
