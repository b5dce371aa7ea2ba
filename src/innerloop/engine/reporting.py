"""What is deployed, whether it is ready and why not, and who develops it: the facts behind ``loop status``."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from innerloop.deploy import inventory
from innerloop.deploy.looking_around import look_around
from innerloop.deploy.records import Entry, State
from innerloop.deploy.status import status
from innerloop.deploy.surroundings import Surroundings
from innerloop.deploy.together import together
from innerloop.engine import claims, control
from innerloop.engine.scope import Scope
from innerloop.engine.snapshot import Snapshot
from innerloop.gitops.agents.finding import find
from innerloop.gitops.agents.outlook import Outlook, outlooks
from innerloop.kube import objects
from innerloop.kube.errors import Forbidden, NotFound
from innerloop.manifest import ObjectKey
from innerloop.project import Project


class ObjectReport(msgspec.Struct, frozen=True, kw_only=True):
    api_version: str
    kind: str
    namespace: str
    name: str
    state: str
    """``ready``, ``waiting``, ``failed`` or ``missing``."""
    message: str = ""


class Developer(msgspec.Struct, frozen=True, kw_only=True):
    service: str
    holder: str
    since: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    project: str
    context: str
    namespace: str
    deployed_from: str = ""
    """``user@host:folder`` of who applied last; empty when nothing is deployed."""
    objects: tuple[ObjectReport, ...] = ()
    developers: tuple[Developer, ...] = ()
    sessions: tuple[Snapshot, ...] = ()
    """Sessions of this project's folder on this machine."""
    agents: tuple[Outlook, ...] = ()
    """Who keeps the objects as git has them: Argo CD, Flux."""

    @property
    def is_ready(self) -> bool:
        return bool(self.objects) and all(one.state == "ready" for one in self.objects)


async def report(project: Project, scope: Scope) -> Report:
    """The present state. Raises ApiError, ConnectionFailed."""
    stored = await inventory.read(scope.client, project.name, project.namespace)
    entries = list(stored.inventory.entries.values()) if stored else []
    keys = [entry.key for entry in entries]
    live = await together(partial(_get, scope), keys, name="get")
    surroundings = await look_around(scope.client, [one for one in live if one])
    sessions = await control.sessions(project.folder)
    await _forget_pods_that_are_gone(sessions, scope, {project.namespace, *(key.namespace for key in keys)} - {""})
    return Report(
        project=project.name,
        context=scope.context,
        namespace=project.namespace,
        deployed_from=stored.inventory.owner.origin if stored else "",
        objects=tuple(_judge(entry, object, surroundings) for entry, object in zip(entries, live, strict=True)),
        developers=await _developers(project, scope),
        sessions=tuple(sessions),
        agents=outlooks(await find(scope.client, [one for one in live if one])),
    )


async def _get(scope: Scope, key: ObjectKey) -> dict[str, Any] | None:
    try:
        return {**(await objects.get(scope.client, key)), "apiVersion": key.api_version, "kind": key.kind}
    except NotFound:
        return None


async def _forget_pods_that_are_gone(sessions: list[Snapshot], scope: Scope, namespaces: set[str]) -> None:
    """Leave out what sessions last heard of pods that are no more: nobody tells them of a pod's end."""
    pods: set[str] = set()
    for namespace in namespaces if sessions else ():
        try:
            found, _ = await objects.list_all(scope.client, "v1", "Pod", namespace=namespace)
        except Forbidden:
            return
        pods |= {pod["metadata"]["name"] for pod in found}
    for session in sessions:
        session.streams = {name: stream for name, stream in session.streams.items() if stream.pod in pods}
        session.syncs = {name: batch for name, batch in session.syncs.items() if batch.pod in pods}
        session.processes = {name: process for name, process in session.processes.items() if process.pod in pods}


def _judge(entry: Entry, object: dict[str, Any] | None, surroundings: Surroundings) -> ObjectReport:
    key, state = entry.key, "missing"
    # an apply was refused, or interrupted between its intent and the result
    message = "it was never made: loop deploy tells why" if entry.state is State.PENDING else "somebody removed it"
    if object is not None:
        state, message = status(object)
        if state != "ready" and (cause := surroundings.cause(object)):
            message = cause.message
    return ObjectReport(
        api_version=key.api_version,
        kind=key.kind,
        namespace=key.namespace,
        name=key.name,
        state=state,
        message=message,
    )


async def _developers(project: Project, scope: Scope) -> tuple[Developer, ...]:
    try:
        held = await claims.held(scope.client, project.name, project.namespace)
    except Forbidden:
        return ()
    return tuple(
        Developer(service=service, holder=claims.holder_of(lease), since=lease["spec"].get("acquireTime", ""))
        for service, lease in held.items()
    )
