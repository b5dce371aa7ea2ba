"""What we are about to do to each object: create it, change what is ours, or adopt what was there before us."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from innerloop.deploy import sharing
from innerloop.deploy.looking import Metadata, look_all, made_by_us
from innerloop.deploy.planning import Planned
from innerloop.deploy.records import Entry, Identity, Inventory, State
from innerloop.deploy.refusals import refusal
from innerloop.deploy.sharing import Share
from innerloop.errors import Location, LoopError
from innerloop.kube.client import Client
from innerloop.kube.errors import Forbidden


class Intention(NamedTuple):
    planned: Planned
    entry: Entry
    """As the inventory has it from now on, with the hash of what was applied before."""
    outside: bool
    """Not in the project's namespace, so that other deployments may share it."""
    live: Metadata | None
    """What is there, where it had to be looked at."""

    def __str__(self) -> str:
        return str(self.planned.key)


async def intend(
    client: Client, planned: Iterable[Planned], known: dict[Identity, Entry], namespace: str, ours: Share
) -> list[Intention]:
    """Decide from the inventory and, for what it does not know for sure, from a look at the cluster."""
    planned = list(planned)
    unsure = [one.key for one in planned if not _is_sure(one, known, namespace)]
    try:
        live = await look_all(client, unsure)
    except Forbidden as error:
        raise _unseen(error, planned) from error
    intentions = []
    for one in planned:
        outside = one.key.namespace != namespace
        entry = known.get(one.identity)
        if not _is_sure(one, known, namespace):
            state, uid = _state(live.get(one.key), entry, ours if outside else None)
            entry = Entry(one.key, state, uid, entry.hash if entry and entry.uid == uid else "")
        assert entry is not None
        intentions.append(Intention(one, _moved(entry, one), outside, live.get(one.key)))
    return intentions


def check_neighbours(planned: Iterable[Planned], namespace: str, neighbours: Iterable[Inventory]) -> None:
    """Raises LoopError when an object in the namespace is part of another project there: they would fight over it."""
    owners = {identity: other for other in neighbours for identity in other.entries}
    for one in planned:
        other = owners.get(one.identity)
        if other is not None and one.key.namespace == namespace:
            raise LoopError(
                f"{one.key} is already part of project {other.project} in namespace {namespace}",
                where=Location(one.source) if one.source else None,
                detail=f"deployed from {other.owner}",
                hint="rename one of them, choose another namespace (loop use namespace NAME), or purge the other"
                " project first (if it was this one under its former name: with that name)",
            )


def _unseen(error: Forbidden, planned: Iterable[Planned]) -> LoopError:
    """The error with the manifest that it is about, as far as the server says which."""
    if error.anonymous:
        return error
    details = error.body.get("details") or {}
    name = details.get("group", ""), details.get("name", "")
    one = next((one for one in planned if (one.key.group, one.key.name) == name), None)
    return error if one is None else refusal(error, one)


def _is_sure(one: Planned, known: dict[Identity, Entry], namespace: str) -> bool:
    """Whether the inventory alone tells; the server checks the UID when we apply."""
    entry = known.get(one.identity)
    return entry is not None and entry.state is not State.PENDING and one.key.namespace == namespace


def _state(live: Metadata | None, entry: Entry | None, ours: Share | None) -> tuple[State, str]:
    if live is None:
        return State.PENDING, ""
    uid: str = live["uid"]
    if ours is not None and sharing.sharers(live):
        return State.CREATED, uid
    if entry is not None and entry.state is State.CREATED and entry.uid == uid:
        return State.CREATED, uid
    # an earlier run was interrupted between the intent and the result
    if ours is None and entry is not None and entry.state is State.PENDING and made_by_us(live):
        return State.CREATED, uid
    return State.ADOPTED, uid


def _moved(entry: Entry, one: Planned) -> Entry:
    """With the API version that the manifest has now."""
    return entry if entry.key == one.key else Entry(one.key, entry.state, entry.uid, entry.hash)
