"""Changing what is asked of one object in the cluster, together with the record of it: both in one request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from innerloop.gitops.agents.changes import Change, changes, json_patch
from innerloop.gitops.agents.ownership import APPLICATION, APPLICATION_SET, kind_of
from innerloop.gitops.agents.records import Record, record_of, with_record
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import Conflict
from innerloop.manifest import ObjectKey

Object = dict[str, Any]

ATTEMPTS = 10
"""Controllers write the status of what they reconcile all the time."""

LOOK_AGAIN = {
    APPLICATION: ("argocd.argoproj.io/refresh", "normal"),
    APPLICATION_SET: ("argocd.argoproj.io/application-set-refresh", "true"),
}
"""Annotations that have a controller reconcile; it removes them when it has done so."""


class Held(NamedTuple):
    """What came of a change."""

    before: Record
    record: Record
    object: Object
    """As it is now."""
    changed: bool


async def hold(
    client: Client,
    key: ObjectKey,
    change: Callable[[Record], Record],
    *,
    lost: tuple[Change, ...] = (),
    announce: Callable[[Object, Record], Any] | None = None,
) -> Held:
    """Change the record on an object, and the object to what that asks; its controller is told in the same request.

    ``lost``: what was changed, for an object whose record is gone. ``announce`` hears what will be written before it
    is. Raises NotFound when the object is gone, UnknownKind, other ApiErrors, ConnectionFailed.
    """
    for attempt in range(ATTEMPTS):
        live = {**(await objects.get(client, key)), "apiVersion": key.api_version, "kind": key.kind}
        before = record_of(live) or Record(changes=lost)
        wanted, record = with_record(live, change(before), before)
        asks_change = changes(_essence(live), _essence(wanted))
        if announce is not None:
            await announce(live, record)
        operations = json_patch(changes(live, _told(wanted) if asks_change else wanted))
        if not operations:
            return Held(before, record, live, changed=False)
        # refused with a conflict when somebody else was faster
        version = {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]}
        try:
            object = await objects.patch(client, key, [*operations, version], type="json")
        except Conflict:
            if attempt == ATTEMPTS - 1:
                raise
            continue
        return Held(before, record, {**object, "apiVersion": key.api_version, "kind": key.kind}, bool(asks_change))
    raise AssertionError("the last attempt returns or raises")


def _told(wanted: Object) -> Object:
    kind = kind_of(wanted)
    if kind not in LOOK_AGAIN:
        return wanted
    name, value = LOOK_AGAIN[kind]
    metadata = wanted["metadata"]
    return {**wanted, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), name: value}}}


def _essence(object: Object) -> Object:
    """What its controller goes by: not the words around it."""
    annotations = object["metadata"].get("annotations") or {}
    skips = {name: value for name, value in annotations.items() if "toolkit.fluxcd.io/" in name}
    return {"spec": object.get("spec") or {}, "skips": skips}
