"""Applying the objects of one phase, all at once.

The server checks what we believe: the UID goes along with each object that the inventory knows. What turns out to be
another object by now, or can't be changed and is replaced, gets a second round, after the inventory knows of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from innerloop.deploy import sharing
from innerloop.deploy.intentions import Intention, intend
from innerloop.deploy.looking import look
from innerloop.deploy.readiness import wait_ready
from innerloop.deploy.records import Entry, State
from innerloop.deploy.refusals import immutable_fields, is_another_object, is_outdated, refusal
from innerloop.deploy.sharing import Share
from innerloop.deploy.together import together
from innerloop.errors import LoopError
from innerloop.kube import discovery, objects
from innerloop.kube.client import Client
from innerloop.kube.errors import (
    Conflict,
    ConnectionFailed,
    Forbidden,
    KubeError,
    NotFound,
    ServerError,
    Unauthorized,
    UnknownKind,
)

REPLACED_KINDS = frozenset({("batch", "Job"), ("", "Pod")})
"""Made anew when a field that can't change has changed: they hold nothing that is lost with them."""

DELETED_SECONDS = 60.0
SERVED_SECONDS = 30.0
PASSING = {
    # a bare Pod right after its namespace, whose account ``default`` is not there yet (plugin ServiceAccount)
    "error looking up service account": 10.0,
    # an operator that was deployed a moment ago, and does not listen or has no certificate yet
    "failed calling webhook": 30.0,
}
"""Words of refusals that pass by themselves, and for how many seconds there is hope."""
ATTEMPTS = 5
"""Of applying an object that others change at the same moment."""


class Scope(NamedTuple):
    """What all objects of an apply have in common."""

    client: Client
    namespace: str
    ours: Share
    force: bool
    over: frozenset[str]
    """Managers whose fields are taken over."""
    tell: Callable[[str], None]
    announce: Callable[[list[Intention]], Awaitable[list[Intention]]]
    """Writes intentions into the inventory, and returns them as they are there."""


class Outcome(NamedTuple):
    entry: Entry
    created: bool
    changed: bool


class _Again(NamedTuple):
    """An object for the second round."""

    intention: Intention
    replace: bool
    """Delete it first; else it is another object than we knew, or is being deleted."""

    def __str__(self) -> str:
        return str(self.intention)


async def apply_phase(scope: Scope, intentions: list[Intention]) -> tuple[list[Outcome], list[LoopError]]:
    """Apply; returns what was done and what was refused. Raises ConnectionFailed, Unauthorized."""

    async def one(intention: Intention) -> Outcome | _Again | LoopError:
        return await _apply(scope, intention)

    results = await together(one, intentions, name="apply")
    if again := [result for result in results if isinstance(result, _Again)]:
        results += await together(one, await _prepared(scope, again), name="apply again")
    refused = [result for result in results if isinstance(result, LoopError)]
    # twice in one run: somebody else makes and removes it all the time
    refused += [
        LoopError(f"{one.intention} changes all the time: somebody else deploys it too")
        for one in results[len(intentions) :]
        if isinstance(one, _Again)
    ]
    return [result for result in results if isinstance(result, Outcome)], refused


async def await_served(scope: Scope, definitions: list[Intention], kinds: Iterable[tuple[str, str]]) -> None:
    """Wait until the server serves the kinds of new CustomResourceDefinitions.

    Established comes by watch, but what discovery tells lags behind it and can only be asked for.
    """
    keys = [one.planned.key for one in definitions]
    await wait_ready(scope.client, keys, emit=lambda event: None, timeout=SERVED_SECONDS)
    deadline = asyncio.get_running_loop().time() + SERVED_SECONDS
    for api_version, kind in kinds:
        while True:
            try:
                await discovery.resource(scope.client, api_version, kind)
                break
            except UnknownKind:
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(0.1)


async def _apply(scope: Scope, intention: Intention) -> Outcome | _Again | LoopError:
    try:
        made = await _requested(scope, intention)
    except (ConnectionFailed, Unauthorized):
        raise
    except KubeError as error:
        if is_another_object(error):
            return _Again(intention, replace=False)
        key = intention.planned.key
        mine = intention.entry.state is State.CREATED and (key.group, key.kind) in REPLACED_KINDS
        if mine and immutable_fields(error):
            return _Again(intention, replace=True)
        return refusal(error, intention.planned)
    if made["metadata"].get("deletionTimestamp"):
        return _Again(intention, replace=False)
    return _outcome(intention, made["metadata"]["uid"])


async def _requested(scope: Scope, intention: Intention) -> dict[str, Any]:
    """The object as the server has it now; refusals that pass by themselves are waited out."""
    clock = asyncio.get_running_loop().time
    started = clock()
    while True:
        try:
            return await _merged(scope, intention)
        except (Forbidden, ServerError) as error:
            seconds = next((seconds for words, seconds in PASSING.items() if words in error.message), 0.0)
            if clock() >= started + seconds:
                raise
            scope.tell(f"{intention} is refused for the moment: {error.message}")
        await asyncio.sleep(0.2)


async def _merged(scope: Scope, intention: Intention) -> dict[str, Any]:
    """Apply, with the labels of others who share the object, and over fields of our own older managers."""
    force, live = scope.force, intention.live
    for _ in range(ATTEMPTS):
        try:
            return await objects.apply(scope.client, _body(scope, intention, live), force=force)
        except Conflict as error:
            outdated = intention.outside and is_outdated(error)
            if not outdated and (force or not _may_be_taken(scope, error)):
                raise
            conflict = error
            force = force or _may_be_taken(scope, error)
            live = await look(scope.client, intention.planned.key) if outdated else live
    raise conflict


def _body(scope: Scope, intention: Intention, live: dict[str, Any] | None) -> dict[str, Any]:
    object, entry = intention.planned.object, intention.entry
    if intention.outside:
        return object if entry.state is State.ADOPTED else sharing.shared(object, live, scope.ours)
    if not entry.uid:
        return object
    return {**object, "metadata": {**object["metadata"], "uid": entry.uid}}


def _may_be_taken(scope: Scope, error: Conflict) -> bool:
    """Whether only fields are in the way of managers that leave them, or of other innerloops, such as an older one."""
    names = [one.manager for one in error.conflicts]
    return bool(names) and all(name in scope.over or name.startswith(objects.MANAGER) for name in names)


def _outcome(intention: Intention, uid: str) -> Outcome:
    entry, planned = intention.entry, intention.planned
    created = entry.state is State.PENDING
    state = State.CREATED if created else entry.state
    after = Entry(planned.key, state, uid, planned.hash)
    return Outcome(after, created=created, changed=not created and entry.hash != planned.hash)


async def _prepared(scope: Scope, again: list[_Again]) -> list[Intention]:
    """Look at the objects anew and tell the inventory; then delete those that are replaced."""
    for one in again:
        if not one.replace:
            await _await_deletion(scope, one)
    moved = [one.intention.planned for one in again if not one.replace]
    intentions = await intend(scope.client, moved, {}, scope.namespace, scope.ours)
    replaced = [_pending(one.intention) for one in again if one.replace]
    intentions = await scope.announce(intentions + replaced)

    async def replace(one: _Again) -> None:
        entry = one.intention.entry
        scope.tell(f"replacing {entry.key}: it can't be changed")
        try:
            await objects.delete(scope.client, entry.key, uid=entry.uid)
        except NotFound:
            return
        await objects.wait_deleted(scope.client, entry.key, uid=entry.uid, timeout=DELETED_SECONDS)

    await together(replace, [one for one in again if one.replace], name="replace")
    return intentions


async def _await_deletion(scope: Scope, one: _Again) -> None:
    key = one.intention.planned.key
    live = await look(scope.client, key)
    if live and live.get("deletionTimestamp"):
        scope.tell(f"waiting until the former {key} is gone")
        await objects.wait_deleted(scope.client, key, uid=live["uid"], timeout=DELETED_SECONDS)


def _pending(intention: Intention) -> Intention:
    entry = msgspec.structs.replace(intention.entry, state=State.PENDING, uid="")
    return intention._replace(entry=entry, live=None)
