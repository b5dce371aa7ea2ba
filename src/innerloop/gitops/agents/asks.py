"""What a session asks of the objects of agents, and what an object looks like that has been asked.

Asks are kept with the object that was asked, so that what it should look like follows at any time from what it looked
like before and the asks of the sessions that still live.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from innerloop.gitops.agents.ownership import APPLICATION, APPLICATION_SET, KUSTOMIZE, Target, kind_of, target
from innerloop.manifest import ObjectKey

Object = dict[str, Any]

SKIP = f"{KUSTOMIZE}/reconcile"
"""On a live object: kustomize-controller neither applies nor prunes it while the value is ``disabled``."""
RESPECT = "RespectIgnoreDifferences=true"
"""Without this sync option, what is ignored is only left out of the comparison, and overwritten by any sync."""


class LeaveFields(msgspec.Struct, frozen=True, tag_field="ask", tag="leave-fields"):
    """Leave alone those fields of an object that a field manager set, and do not prune."""

    key: ObjectKey
    manager: str


class LeavePlaces(msgspec.Struct, frozen=True, tag_field="ask", tag="leave-places"):
    """Leave alone some places of another agent's object, given as JSON pointers."""

    target: Target
    pointers: tuple[str, ...]


class Pause(msgspec.Struct, frozen=True, tag_field="ask", tag="pause"):
    """Apply nothing, for the sake of one object; of none in particular for the time of an apply."""

    key: ObjectKey | None = None


class LeaveObject(msgspec.Struct, frozen=True, tag_field="ask", tag="leave-object"):
    """Of the object that is asked: be left alone as a whole."""


Ask = LeaveFields | LeavePlaces | Pause | LeaveObject


def asked(object: Object, asks: Iterable[Ask]) -> Object:
    """A copy of an object as the asks want it."""
    for ask in dict.fromkeys(asks):
        object = _asked(object, ask)
    return object


def _asked(object: Object, ask: Ask) -> Object:
    match ask:
        case LeaveObject():
            return _in(object, ("metadata", "annotations"), lambda found: {**(found or {}), SKIP: "disabled"})
        case Pause() if kind_of(object) == APPLICATION:
            return _with_policy(object, _without_automation)
        case Pause():
            return _in(object, ("spec", "suspend"), lambda _: True)
        case LeavePlaces() if kind_of(object) == APPLICATION_SET:
            rule = {"name": ask.target.name, "jsonPointers": list(ask.pointers)}
            return _in(object, ("spec", "ignoreApplicationDifferences"), lambda found: _added(found, rule))
        case LeavePlaces():
            return _ignoring(object, ask.target, {"jsonPointers": list(ask.pointers)})
        case LeaveFields():
            object = _ignoring(object, target(ask.key), {"managedFieldsManagers": [ask.manager]})
            return _with_policy(object, _without_pruning)


def _ignoring(application: Object, about: Target, rule: Object) -> Object:
    named = {name: value for name, value in about._asdict().items() if value}
    changed = _in(application, ("spec", "ignoreDifferences"), lambda found: _added(found, {**named, **rule}))
    return _with_policy(changed, _respecting)


def _with_policy(application: Object, change: Callable[[Object], Object]) -> Object:
    spec = application.get("spec") or {}
    others = {name: value for name, value in spec.items() if name != "syncPolicy"}
    # Argo CD leaves out an empty one whenever it writes the object, so none is put there
    changed = {"syncPolicy": policy} if (policy := change(spec.get("syncPolicy") or {})) else {}
    return {**application, "spec": {**others, **changed}}


def _respecting(policy: Object) -> Object:
    others = [one for one in policy.get("syncOptions") or [] if not one.startswith("RespectIgnoreDifferences=")]
    return {**policy, "syncOptions": [*others, RESPECT]}


def _without_pruning(policy: Object) -> Object:
    automated = policy.get("automated") or {}
    if not automated.get("prune"):
        return policy
    # absent, not false: Argo CD leaves out what is false, too
    return {**policy, "automated": {name: value for name, value in automated.items() if name != "prune"}}


def _without_automation(policy: Object) -> Object:
    return {name: value for name, value in policy.items() if name != "automated"}


def _added(rules: list[Object] | None, rule: Object) -> list[Object]:
    return [*(rules or []), *([] if rule in (rules or []) else [rule])]


def _in(object: Object, path: tuple[str, ...], change: Callable[[Any], Any]) -> Object:
    """A copy in which ``change`` was made at ``path``; it gets None where nothing is."""
    key, *rest = path
    if not rest:
        return {**object, key: change(object.get(key))}
    return {**object, key: _in(object.get(key) or {}, tuple(rest), change)}
