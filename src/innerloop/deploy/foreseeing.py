"""What an apply would change, without changing anything: the server answers with each object as it would become."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

from innerloop.deploy import inventory, sharing
from innerloop.deploy.inventory import Stored
from innerloop.deploy.phases import REPLACED_KINDS
from innerloop.deploy.planning import Planned, plan
from innerloop.deploy.records import Entry, Identity, State
from innerloop.deploy.refusals import immutable_fields, refusal
from innerloop.deploy.together import together
from innerloop.errors import LoopError
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import ApiError, Conflict, ConnectionFailed, NotFound, Unauthorized, UnknownKind
from innerloop.manifest import Manifest, ObjectKey

Object = dict[str, Any]

ATTEMPTS = 5
"""How often an object is compared that controllers are writing at the same time."""


class Foreseen(NamedTuple):
    """The objects of a project before and after an apply."""

    before: list[Manifest]
    """As they are in the cluster, also those that would be removed."""
    after: list[Manifest]
    """As they would be: new ones as their manifests, all others with what the cluster adds."""
    refused: list[LoopError]
    """What the apply would be refused for. The objects are told as their manifests would have them all the same."""


class _Pair(NamedTuple):
    live: Object | None
    wanted: Object
    refused: LoopError | None = None


async def foresee(client: Client, manifests: Iterable[Manifest], *, project: str, namespace: str) -> Foreseen:
    """Ask for each object what would become of it.

    Raises LoopError when manifests can't be applied at all, ApiError without the right to look, ConnectionFailed.
    """
    planned = await plan(client, manifests, namespace)
    stored = await inventory.read(client, project, namespace)
    pairs = await together(partial(_pair, client), planned, name="compare")
    gone = await together(partial(_removed, client), _prunable(stored, planned), name="look for")
    sources = [one.source for one in planned]
    live = [Manifest(pair.live, source) for pair, source in zip(pairs, sources, strict=True) if pair.live is not None]
    return Foreseen(
        before=[*live, *(Manifest(one) for one in gone if one is not None)],
        after=[Manifest(pair.wanted, source) for pair, source in zip(pairs, sources, strict=True)],
        refused=[pair.refused for pair in pairs if pair.refused],
    )


async def _pair(client: Client, one: Planned) -> _Pair:
    for _ in range(ATTEMPTS - 1):
        pair = await _compared(client, one)
        if pair.live is None or _version(pair.live) == _version(pair.wanted):
            return pair
        # a controller wrote between the two answers: what it did is no part of what the apply would do
    return await _compared(client, one)


async def _compared(client: Client, one: Planned) -> _Pair:
    live = await _get(client, one.key)
    if live is None:
        return _Pair(None, one.object)
    try:
        try:
            return _Pair(live, await objects.apply(client, one.object, dry_run=True))
        except Conflict as conflict:
            if not conflict.conflicts:
                raise
            wanted = await objects.apply(client, one.object, dry_run=True, force=True)
            return _Pair(live, wanted, refusal(conflict, one))
    except (ConnectionFailed, Unauthorized):
        raise
    except ApiError as error:
        replaced = (one.key.group, one.key.kind) in REPLACED_KINDS and immutable_fields(error)
        return _Pair(live, _merged(live, one.object), None if replaced else refusal(error, one))


def _version(object: Object) -> str:
    return str(object["metadata"].get("resourceVersion") or "")


def _merged(live: Any, wanted: Any) -> Any:
    """The fields of ``wanted`` over those of ``live``; lists are taken as they are."""
    if not isinstance(live, dict) or not isinstance(wanted, dict):
        return wanted
    return live | {name: _merged(live.get(name), value) for name, value in wanted.items()}


def _prunable(stored: Stored | None, planned: Iterable[Planned]) -> list[Entry]:
    """What the project made and no longer has; what was there before it stays."""
    listed: set[Identity] = {one.identity for one in planned}
    entries = stored.inventory.entries.values() if stored else ()
    return [
        entry
        for entry in entries
        # a namespace holds more than what we put there: only a purge removes it
        if entry.identity not in listed
        and entry.state is State.CREATED
        and (entry.key.group, entry.key.kind) != ("", "Namespace")
    ]


async def _removed(client: Client, entry: Entry) -> Object | None:
    """The object that would be removed; None where it is gone, another one, or others have it too."""
    live = await _get(client, entry.key)
    if live is None or live["metadata"]["uid"] != entry.uid:
        return None
    return live if len(sharing.sharers(live["metadata"])) <= 1 else None


async def _get(client: Client, key: ObjectKey) -> Object | None:
    try:
        found = await objects.get(client, key)
    except (NotFound, UnknownKind):
        return None
    # the server leaves them out of some answers
    return {"apiVersion": key.api_version, "kind": key.kind, **found}
