"""The least that has to be asked of agents so that they leave an object alone: pure rules.

From the least invasive step to the most: nothing, for what no agent applies; some fields of one object (Argo CD); one
object (Flux); all that one applier applies. Whoever reverts a change of an applier is asked before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from innerloop.gitops.agents.asks import Ask, LeaveFields, LeaveObject, LeavePlaces, Pause
from innerloop.gitops.agents.changes import Change, pointers
from innerloop.gitops.agents.ownership import (
    APPLICATION,
    APPLICATION_SET,
    HELM_RELEASE,
    KUSTOMIZATION,
    key_of,
    kind_of,
    target_of,
)
from innerloop.gitops.agents.records import ANNOTATION, NOTICE, NOTICE_SEVERITY, original
from innerloop.manifest import ObjectKey

Object = dict[str, Any]

APPLICATION_PLACES = ("/spec/ignoreDifferences", "/spec/syncPolicy")
"""What asks change in an Application."""
APPLICATION_SET_PLACES = ("/spec/ignoreApplicationDifferences",)
SUSPEND_PLACES = ("/spec/suspend",)
MARKS = pointers(Change(("metadata", "annotations", name)) for name in (ANNOTATION, NOTICE, NOTICE_SEVERITY))


class Owned(NamedTuple):
    """An object and what applies it, which is owned in its turn."""

    object: Object
    """Metadata is enough for objects that are no agent's."""
    owners: tuple[Owned, ...] = ()


class Step(NamedTuple):
    """What to ask of one object."""

    asked: ObjectKey
    ask: Ask
    applier: ObjectKey | None
    """Whose controller goes by it; None: it may not be looked at."""
    when: str
    """For people: when the applier would undo a change otherwise."""


def steps(owned: Iterable[Owned], manager: str) -> list[Step]:
    """All that has to be asked so that fields which ``manager`` sets in the objects stay; parents come first."""
    found: dict[tuple[ObjectKey, Ask], Step] = {}
    for one in owned:
        for owner in one.owners:
            for step in _steps(one.object, owner, LeaveFields(key_of(one.object), manager)):
                found.setdefault((step.asked, step.ask), step)
    return list(found.values())


def _steps(object: Object, owner: Owned, wanted: Ask) -> list[Step]:
    """What keeps ``owner`` from undoing a change in ``object``, behind what keeps others from undoing that."""
    about = target_of(object)
    kind = kind_of(owner.object)
    # a session that it waits for already does not keep it from undoing what others change
    applier = original(owner.object)
    when = reverts(applier)
    if not when:
        return []
    if kind == KUSTOMIZATION:
        return [Step(key_of(object), LeaveObject(), key_of(owner.object), when)]
    if kind == HELM_RELEASE:
        return _asked(owner, _pause(wanted), SUSPEND_PLACES, when)
    if kind == APPLICATION_SET:
        # it writes the annotations of its Applications anew, unlike all others
        places = (*wanted.pointers, *MARKS) if isinstance(wanted, LeavePlaces) else MARKS
        return _asked(owner, LeavePlaces(about, places), APPLICATION_SET_PLACES, when)
    ask = _pause(wanted) if isinstance(wanted, LeaveFields) and _replaces(applier, object) else wanted
    return _asked(owner, ask, APPLICATION_PLACES, when)


def _pause(wanted: Ask) -> Pause:
    return Pause(wanted.key if isinstance(wanted, LeaveFields) else None)


def _asked(owner: Owned, ask: Ask, places: tuple[str, ...], when: str) -> list[Step]:
    about = target_of(owner.object)
    above = [step for one in owner.owners for step in _steps(owner.object, one, LeavePlaces(about, places))]
    key = key_of(owner.object)
    return [*above, Step(key, ask, key, when)]


def reverts(applier: Object) -> str:
    """When an applier undoes changes of what it applies, for people; empty when it does not by itself."""
    spec = applier.get("spec") or {}
    match kind_of(applier):
        case kind if kind == APPLICATION:
            return _application_reverts(applier)
        case kind if kind == APPLICATION_SET:
            mode = (spec.get("syncPolicy") or {}).get("applicationsSync", "sync")
            return "" if mode in ("create-only", "create-delete") else "within seconds"
        case kind if kind == KUSTOMIZATION and not spec.get("suspend"):
            return f"every {spec.get('interval', '10m')}, and with each commit"
        case kind if kind == HELM_RELEASE and not spec.get("suspend"):
            heals = (spec.get("driftDetection") or {}).get("mode") == "enabled"
            return f"every {spec.get('interval', '10m')}" if heals else "with the next upgrade of the release"
        case _:
            return ""


def _application_reverts(application: Object) -> str:
    annotations = application["metadata"].get("annotations") or {}
    automated = ((application.get("spec") or {}).get("syncPolicy") or {}).get("automated")
    # null counts as enabled (Argo CD 3.1, which brought the field)
    if automated is None or automated.get("enabled") is False:
        return ""
    if annotations.get("argocd.argoproj.io/skip-reconcile") == "true":
        return ""
    return "within seconds" if automated.get("selfHeal") else "with the next commit"


def _replaces(application: Object, object: Object) -> bool:
    """Whether a sync writes the object anew, so that no field of it can be left alone."""
    annotation = (object["metadata"].get("annotations") or {}).get("argocd.argoproj.io/sync-options", "")
    options = {one.strip() for one in annotation.split(",")}
    options |= set(((application.get("spec") or {}).get("syncPolicy") or {}).get("syncOptions") or [])
    return bool(options & {"Replace=true", "Force=true"})
