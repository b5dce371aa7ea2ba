"""Removing what an inventory lists as ours, and nothing else, in reverse order, until it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from innerloop.deploy import sharing
from innerloop.deploy.contents import foreign_objects, some
from innerloop.deploy.going import await_gone
from innerloop.deploy.looking import Metadata, look, made_by_us
from innerloop.deploy.ordering import Phase, phase
from innerloop.deploy.records import Entry, State
from innerloop.deploy.sharing import Share
from innerloop.deploy.together import together
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import ApiError, Conflict, Forbidden, NotFound, UnknownKind
from innerloop.manifest import ObjectKey

Propagation = Literal["Background", "Foreground"]


class Left(NamedTuple):
    """An object that was not removed."""

    key: ObjectKey
    why: str
    listed: bool = False
    """Whether the inventory keeps it, so that the next try finds it."""


class Removed(NamedTuple):
    gone: list[Entry]
    """For which the inventory has no more use: deleted, gone before, or not ours."""
    deleted: list[ObjectKey]
    left: list[Left]


class _Deleting(NamedTuple):
    key: ObjectKey
    uid: str


class _Scope(NamedTuple):
    client: Client
    ours: Share
    project: str
    namespace: str
    propagation: Propagation


async def remove(
    client: Client,
    entries: Iterable[Entry],
    *,
    project: str,
    namespace: str,
    propagation: Propagation,
    timeout: float,
    tell: Callable[[str], None],
) -> Removed:
    """Remove the objects of a project's inventory; those that were there before us only lose our fields.

    ``propagation`` Foreground waits for the pods of workloads too. What is not gone after ``timeout`` seconds is
    left. Raises ConnectionFailed and ApiErrors that are about more than one object.
    """
    scope = _Scope(client, sharing.share(project, namespace), project, namespace, propagation)
    deadline = asyncio.get_running_loop().time() + timeout
    removed = Removed([], [], [])
    phases: dict[Phase, list[Entry]] = {}
    for entry in entries:
        phases.setdefault(phase(entry.key.group, entry.key.kind), []).append(entry)

    async def ask(entry: Entry) -> _Deleting | Left | None:
        return await _ask(scope, entry)

    for _, group in sorted(phases.items(), reverse=True):
        asked = await together(ask, group, name="remove")
        deleting = {one.key: one.uid for one in asked if isinstance(one, _Deleting)}
        stuck = await await_gone(client, deleting, deadline, tell)
        removed.deleted.extend(key for key in deleting if key not in stuck)
        removed.left.extend(one for one in asked if isinstance(one, Left))
        removed.left.extend(Left(key, why, listed=True) for key, why in stuck.items())
        listed = {left.key for left in removed.left if left.listed}
        removed.gone.extend(entry for entry in group if entry.key not in listed)
    return removed


async def _ask(scope: _Scope, entry: Entry) -> _Deleting | Left | None:
    """Ask the server for what is right for an object; None when it was gone already."""
    try:
        if entry.state is State.ADOPTED:
            return await _release(scope, entry)
        if entry.state is State.PENDING or entry.key.namespace != scope.namespace:
            return await _delete_after_look(scope, entry)
        return await _delete(scope, entry, entry.uid)
    except (NotFound, UnknownKind):
        return None
    except Forbidden as error:
        return Left(entry.key, f"no right to remove it: {error.message}", listed=True)
    except Conflict:
        return Left(entry.key, "another object of this name is there now, which is not ours")


async def _delete_after_look(scope: _Scope, entry: Entry) -> _Deleting | Left | None:
    live = await look(scope.client, entry.key)
    if live is None:
        return None
    if not _is_ours(scope, entry, live):
        return Left(entry.key, "another object of this name is there now, which is not ours")
    if users := sharing.others(live, scope.ours):
        patch = {"metadata": {"labels": {scope.ours.label: None}, "resourceVersion": live["resourceVersion"]}}
        await objects.patch(scope.client, entry.key, patch)
        return Left(entry.key, f"it is part of {', '.join(users)} too")
    if entry.key.kind == "Namespace" and not entry.key.group:
        foreign = await foreign_objects(scope.client, entry.key.name, (), scope.project)
        if foreign:
            return Left(entry.key, f"it has what we did not put there: {some(foreign)}", listed=True)
    return await _delete(scope, entry, live["uid"], live["resourceVersion"] if sharing.sharers(live) else None)


def _is_ours(scope: _Scope, entry: Entry, live: Metadata) -> bool:
    if entry.state is State.CREATED and entry.uid == live["uid"]:
        return True
    if entry.key.namespace != scope.namespace:
        return scope.ours.label in sharing.sharers(live)
    return entry.state is State.PENDING and made_by_us(live)


async def _delete(scope: _Scope, entry: Entry, uid: str, resource_version: str | None = None) -> _Deleting:
    # the garbage collector, who ends a foreground deletion, learns of custom kinds only each 30 s (Kubernetes 1.36)
    workload = phase(entry.key.group, entry.key.kind) is Phase.WORKLOADS
    propagation = scope.propagation if workload else "Background"
    await objects.delete(scope.client, entry.key, propagation=propagation, uid=uid, resource_version=resource_version)
    return _Deleting(entry.key, uid)


async def _release(scope: _Scope, entry: Entry) -> Left:
    """Give our fields back: those that nobody else has are removed, the others stay as they are."""
    key = entry.key
    metadata = {"name": key.name, "uid": entry.uid} | ({"namespace": key.namespace} if key.namespace else {})
    empty = {"apiVersion": key.api_version, "kind": key.kind, "metadata": metadata}
    why = "it was there before"
    try:
        await objects.apply(scope.client, empty, force=True)
    except Forbidden:
        raise
    except ApiError as error:
        if isinstance(error, Conflict):
            return Left(key, f"{why}, and is gone or another one now")
        return Left(key, f"{why}; our fields could not be taken out: {error.message}")
    return Left(key, why)
