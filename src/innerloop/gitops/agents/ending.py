"""Giving back what sessions held: exactly as it was, and waiting until the agents have what git asks for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from innerloop.errors import LoopError
from innerloop.gitops.agents.applied_last import has_what_was_applied
from innerloop.gitops.agents.asks import Ask, LeaveFields, LeaveObject, Pause
from innerloop.gitops.agents.finding import served
from innerloop.gitops.agents.holding import Held, hold
from innerloop.gitops.agents.ownership import FLUX_KINDS, claims, confirms, target, target_of
from innerloop.gitops.agents.reconciling import await_reconciled, look_again
from innerloop.gitops.agents.records import Hold, Record
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import ApiError, ConnectionFailed, Forbidden, NotFound, UnknownKind
from innerloop.manifest import ObjectKey

Object = dict[str, Any]

STALE_SECONDS = 5.0
"""Behind its time by more than this, an agent gets the rest done on its own: it heals what it finds later."""


class Ended(NamedTuple):
    """What became of one object that was held."""

    key: ObjectKey
    holders: tuple[str, ...] = ()
    """Who else still holds it."""
    amiss: str = ""
    """What is not as it should be, for people; empty when all is well."""
    listed: bool = False
    """Whether it is still to be given back."""


async def end(client: Client, session: str, holds: Sequence[Hold]) -> list[Ended]:
    """Give back what a session holds, children before their parents, and wait for their agents.

    What was left alone as a whole is given back together, so that its agent reconciles once. Trouble with one object
    does not keep the others from being given back. Raises ConnectionFailed.
    """
    backwards = list(reversed(holds))
    for one in backwards:
        if _is_left_alone(one.asks):
            # what goes wrong is met again below, and told
            with contextlib.suppress(LoopError):
                await _leave(client, session, one)
    answers: dict[ObjectKey, _Answer] = {}
    return [await _end(client, session, one, answers) for one in backwards]


class _Answer(NamedTuple):
    """What came of having an agent reconcile."""

    amiss: str
    allowed: bool


async def _leave(client: Client, session: str, held: Hold) -> Held:
    return await hold(client, held.key, lambda record: record.left([session]), lost=held.changes)


async def _end(client: Client, session: str, held: Hold, answers: dict[ObjectKey, _Answer]) -> Ended:
    key = held.key
    try:
        given = await _leave(client, session, held)
        appliers = await _appliers(client, key, given.object, held.asks)
        for one in appliers:
            if one not in answers:
                answers[one] = await _answer(client, one, held.asks)
        told = "; ".join(filter(None, [answers[one].amiss for one in appliers]))
        # what Argo CD does not have by now it gets by itself; of a whole object, what the session had set stays as well
        again = bool(told) and _is_left_alone(held.asks) and all(answers[one].allowed for one in appliers)
        if not told and not given.record.parties and _is_left_alone(held.asks):
            told = await _forgotten(client, appliers, key)
        if not told:
            told = await _take_out(client, _no_longer_asked(held.asks, given.record), key)
        holders = tuple(f"{one.session.holder} ({one.session.reason})" for one in given.record.parties)
        return Ended(key, holders, told, listed=again)
    except (NotFound, UnknownKind):
        return Ended(key)
    except ConnectionFailed:
        raise
    except LoopError as error:
        return Ended(key, amiss=str(error), listed=True)


async def _answer(client: Client, applier: ObjectKey, asks: Sequence[Ask]) -> _Answer:
    try:
        return _Answer(await _reconciled(client, applier, asks), allowed=True)
    except Forbidden:
        words = "sees to it at its interval: you may not ask for it now. What git does not have stays"
        return _Answer(f"{applier} {words}", allowed=False)


def _is_left_alone(asks: Sequence[Ask]) -> bool:
    return any(isinstance(ask, LeaveObject) for ask in asks)


async def _reconciled(client: Client, key: ObjectKey, asks: Sequence[Ask]) -> str:
    """Wait until an agent has what git asks for; what is amiss, for people.

    Argo CD compares with what it last heard of an object, which may be older than our last change: then it finds
    nothing to do, and has to look again.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + STALE_SECONDS
    fields = [ask.key for ask in asks if isinstance(ask, LeaveFields | Pause) and ask.key is not None]
    while True:
        amiss = await await_reconciled(client, key)
        if amiss or clock() > deadline or all([await _has_what_was_applied(client, one) for one in fields]):
            return amiss
        await look_again(client, key)


async def _has_what_was_applied(client: Client, key: ObjectKey) -> bool:
    try:
        return has_what_was_applied(await objects.get(client, key))
    except (NotFound, UnknownKind):
        return True


async def _appliers(client: Client, key: ObjectKey, object: Object, asks: Sequence[Ask]) -> list[ObjectKey]:
    """Whose controllers have something to do now."""
    itself = [] if all(isinstance(ask, LeaveObject) for ask in asks) else [key]
    if not _is_left_alone(asks):
        return itself
    kinds = await served(client)
    above = [
        ObjectKey(kinds[claim.kind].api_version, claim.kind.kind, claim.namespace, claim.name)
        for claim in claims(target_of(object), object["metadata"])
        if claim.kind in FLUX_KINDS and claim.kind in kinds
    ]
    return [*itself, *above]


async def _forgotten(client: Client, appliers: Sequence[ObjectKey], key: ObjectKey) -> str:
    """Of an object that was left alone as a whole: whether none of its appliers sees to it any more, for people.

    A Kustomization drops an object from its list when git no longer has it, also one that it was not to delete.
    """
    for one in appliers:
        with contextlib.suppress(NotFound, UnknownKind):
            if confirms(await objects.get(client, one), target(key)):
                return ""
    return f"{key} is no longer in git, and stays as it is: nothing applies or deletes it any more"


def _no_longer_asked(asks: Sequence[Ask], record: Record) -> list[Ask]:
    others = {ask for party in record.parties for ask in party.asks}
    return [ask for ask in asks if ask not in others]


async def _take_out(client: Client, asks: Sequence[Ask], asked: ObjectKey) -> str:
    """Remove what a session had set and git does not have: its agent only sees to what git has.

    Everything that git has is the agent's again by now, so that only the rest goes.
    """
    amiss = []
    for ask in asks:
        key = ask.key if isinstance(ask, LeaveFields | Pause) else asked if isinstance(ask, LeaveObject) else None
        manager = ask.manager if isinstance(ask, LeaveFields) else objects.MANAGER
        try:
            if key is not None and (uid := await _uid_with_fields_of(client, key, manager)):
                metadata = {"name": key.name, "uid": uid} | ({"namespace": key.namespace} if key.namespace else {})
                empty = {"apiVersion": key.api_version, "kind": key.kind, "metadata": metadata}
                await objects.apply(client, empty, manager=manager, force=True)
        except ApiError as error:
            amiss.append(f"{key} keeps fields of the session: {error.message}")
    return "; ".join(amiss)


async def _uid_with_fields_of(client: Client, key: ObjectKey, manager: str) -> str:
    try:
        metadata = (await objects.get(client, key))["metadata"]
    except (NotFound, UnknownKind):
        return ""
    entries = metadata.get("managedFields") or []
    ours = any(one.get("manager") == manager and one.get("operation") == "Apply" for one in entries)
    return str(metadata["uid"]) if ours else ""
