"""GitOps agents leave alone what a session or a deployment changes, and get it back at its end.

The first question is whether the cluster has agents at all, which discovery knows: without them nothing else is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta

import msgspec

from innerloop.deploy.identity import user_name
from innerloop.deploy.planning import plan
from innerloop.engine.scope import Scope
from innerloop.errors import LoopError, single_failure
from innerloop.events import Emit, Notice, reported
from innerloop.gitops.agents import making
from innerloop.gitops.agents.ending import Ended
from innerloop.gitops.agents.finding import served
from innerloop.gitops.agents.ladder import Step
from innerloop.gitops.agents.ownership import MANAGERS
from innerloop.gitops.agents.resuming import Standing, in_namespace, resume
from innerloop.gitops.agents.truce import SESSION_LASTS, Truce, new_session
from innerloop.kube.client import Client
from innerloop.kube.errors import ConnectionFailed, Forbidden, KubeError
from innerloop.manifest import Manifest
from innerloop.project import Project

DEPLOYMENT_LASTS = timedelta(hours=2)
"""What ``loop deploy`` asks for: nobody renews it, another deployment makes it longer."""

STEP = "truce"


class Guard:
    """Stands between agents and the applies of one session."""

    def __init__(self, scope: Scope, truce: Truce, *, force: bool) -> None:
        self._scope = scope
        self._truce = truce
        self._force = force

    async def before_apply(self, manifests: Iterable[Manifest], namespace: str) -> frozenset[str]:
        """Have agents leave alone what will be applied; returns the field managers whose fields may be taken over.

        Raises LoopError that tells who would undo what, and when, where the user may not ask for that; with ``force``
        it is only told.
        """
        client = self._scope.client
        if not await served(client):
            return frozenset()
        planned = await plan(client, manifests, namespace)
        try:
            found = await making.wanted(client, [one.key for one in planned])
        except Forbidden:
            # the apply tells which object may not be looked at
            return frozenset()
        if refused := making.refusal(found, namespace):
            if not self._force:
                raise refused
            message = "what is deployed may be undone by GitOps at any time"
            self._scope.emit(Notice(level="warning", message=message, detail=refused.detail or ""))
        steps = [step for step in found.steps if step not in found.forbidden]
        if steps:
            with reported(self._scope.emit, STEP, "have GitOps agents wait") as outcome:
                outcome.summary = _told(await self._truce.keep(steps)) or "they wait already"
        return MANAGERS if steps else frozenset()

    async def ready(self) -> None:
        """What was applied is ready: agents go on with everything else."""
        await self._truce.applied()

    async def outlive(self) -> None:
        """The process ends, and agents go on with everything but what it deployed."""
        await self._truce.outlive()


@contextlib.asynccontextmanager
async def guarded(scope: Scope, project: Project, *, force: bool = False) -> AsyncIterator[Guard]:
    """A guard for as long as a session lives; at its end agents get back what they left alone, and have their way."""
    session = new_session(f"loop dev of {project.name}", project.folder, lasts=SESSION_LASTS)
    truce = Truce(scope.client, session, (project.namespace,), scope.emit)
    try:
        async with asyncio.TaskGroup() as group:
            renewing = group.create_task(truce.renew(), name="renew the truce")
            try:
                yield Guard(scope, truce, force=force)
            finally:
                renewing.cancel()
    except BaseExceptionGroup as failures:
        raise single_failure(failures) from None
    finally:
        if truce.holds:
            await _give_back(scope, truce)


async def _give_back(scope: Scope, truce: Truce) -> None:
    with reported(scope.emit, STEP, "give back to GitOps agents") as outcome:
        try:
            outcome.summary = _tell_ended(scope.emit, await truce.end())
        except ConnectionFailed as error:
            message = "GitOps agents still wait for this session"
            hint = "loop doctor --resume gives everything back, from any machine"
            raise LoopError(message, detail=str(error), hint=hint) from error


async def deployment_guard(scope: Scope, project: Project, *, force: bool = False) -> Guard:
    """A guard for a deployment: what it asks ends with ``end_deployment``, or with its time; until ``outlive``, with
    the process."""
    session = new_session(f"loop deploy of {project.name}", project.folder, lasts=DEPLOYMENT_LASTS)
    session = msgspec.structs.replace(session, id=_deployment_id(project))
    before = await _standing(scope, project)
    holds = [hold for one in before if one.session.id == session.id for hold in one.holds]
    return Guard(scope, Truce(scope.client, session, (project.namespace,), scope.emit, holds), force=force)


async def end_deployment(scope: Scope, project: Project) -> None:
    """Give back what a project's deployment holds, before it is removed."""
    for one in await _standing(scope, project):
        if one.session.id == _deployment_id(project):
            await end(scope.client, one, scope.emit)


async def end_over(scope: Scope, project: Project) -> None:
    """End the truces in the project's namespace that nobody else will end: of killed sessions, or behind their time."""
    for one in await _standing(scope, project):
        if why := one.over:
            message = f"{one.session.reason} by {one.session.holder} did not give back what it held: {why}"
            scope.emit(Notice(level="info", message=message))
            await end(scope.client, one, scope.emit)


async def end(client: Client, standing: Standing, emit: Emit) -> bool:
    """Give back what a truce holds, and tell of it; whether nothing is left to do."""
    with reported(emit, STEP, f"give back what {standing.session.reason} held") as outcome:
        ended = await resume(client, standing)
        outcome.summary = _tell_ended(emit, ended)
    return not any(one.amiss for one in ended)


async def _standing(scope: Scope, project: Project) -> list[Standing]:
    try:
        return await in_namespace(scope.client, project.namespace)
    except KubeError as error:
        # whether the cluster can be used at all, what follows will tell
        scope.emit(Notice(level="warning", message=f"truces with GitOps agents cannot be looked for: {error}"))
        return []


def _deployment_id(project: Project) -> str:
    """The same for all deployments of a project by one user, so that each continues the former's truce."""
    text = f"{user_name()}/{project.folder}/{project.namespace}"
    return f"deploy-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def _told(steps: Sequence[Step]) -> str:
    names = dict.fromkeys(str(step.applier or step.asked) for step in steps)
    return f"asked {', '.join(names)}" if names else ""


def _tell_ended(emit: Emit, ended: Sequence[Ended]) -> str:
    for one in ended:
        if one.amiss:
            hint = "loop doctor --resume tries again" if one.listed else ""
            emit(Notice(level="warning", message=f"{one.key}: {one.amiss}", hint=hint))
        elif one.holders:
            emit(Notice(level="info", message=f"{one.key} still waits for {', '.join(one.holders)}"))
    good = [str(one.key) for one in ended if not one.amiss and not one.holders]
    return f"{', '.join(good)} as before" if good else ""
