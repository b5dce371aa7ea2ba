"""Waiting for agents: until one has read what it was asked, and until it has reconciled what was given back.

It is asked for by reading the object again and again: a watch needs rights that not everybody has who may change it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from innerloop.deploy.status import condition
from innerloop.gitops.agents.holding import LOOK_AGAIN
from innerloop.gitops.agents.ownership import APPLICATION, FLUX_KINDS, HELM_RELEASE, kind_of
from innerloop.gitops.agents.records import record_of
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import NotFound
from innerloop.manifest import ObjectKey

Object = dict[str, Any]

PAUSE_SECONDS = 0.1
NUDGE_SECONDS = 2.0
"""Argo CD forgets a change that comes while it writes the object itself (3.2: it puts its own answer, which may be the
older one, over what it has heard): then it has to be told again."""
HEARD_SECONDS = 15.0
"""An agent that has read nothing by then does not run, or is far behind; a sync under way is waited for."""
RECONCILED_SECONDS = 60.0
AFTER_APPLYING = frozenset({"HealthCheckFailed", "HealthCheckCanceled", "PruneFailed"})
"""Reasons for which a Kustomization is not ready although all that git has is applied (kustomize-controller 1.9)."""

REQUESTED = "reconcile.fluxcd.io/requestedAt"
FORCED = "reconcile.fluxcd.io/forceAt"


async def await_heard(client: Client, key: ObjectKey) -> str:
    """Wait until an agent goes by what its object asks now, and nothing older is under way.

    Returns what is amiss, for people; empty when all is well.
    """
    found = await _until(client, key, _has_heard, NUDGE_SECONDS)
    if found is not None and not _has_heard(found):
        if kind_of(found) == APPLICATION and not _is_syncing(found):
            await look_again(client, key, "hard")
        found = await _until(client, key, _has_heard, HEARD_SECONDS - NUDGE_SECONDS)
    if found is None or _has_heard(found):
        return ""
    if _is_syncing(found):
        return f"a sync of {key} takes longer than {HEARD_SECONDS:g} s: it may still undo changes"
    if kind_of(found) in FLUX_KINDS:
        return f"{key} is still being applied after {HEARD_SECONDS:g} s: it may still undo changes"
    return f"{key} is not read by its controller: does that run?"


async def look_again(client: Client, key: ObjectKey, value: str = "normal") -> None:
    """Have an Application compared with git now; ``hard`` is heeded where ``normal`` was overheard."""
    name, _ = LOOK_AGAIN[APPLICATION]
    await objects.patch(client, key, {"metadata": {"annotations": {name: value}}})


async def await_reconciled(client: Client, key: ObjectKey) -> str:
    """After an object was given back: wait until its agent has done what git asks for.

    A sync is asked for where the agent would not begin one by itself: it had failed for this commit, or Argo CD does
    not heal. Returns what is amiss, for people. Raises Forbidden where it may not be looked at, or not be asked.
    """
    if amiss := await await_heard(client, key):
        return amiss
    found = await _get(client, key)
    if found is None:
        return ""
    kind = kind_of(found)
    if kind == APPLICATION:
        return await _synced(client, key, found)
    return await _requested(client, key, found) if kind in FLUX_KINDS else ""


async def _synced(client: Client, key: ObjectKey, application: Object) -> str:
    policy = (application.get("spec") or {}).get("syncPolicy") or {}
    automated = policy.get("automated")
    if automated is None or automated.get("enabled") is False or _is_synced(application):
        return ""
    if not _is_syncing(application):
        # the controller has just decided against it
        await objects.patch(client, key, {"operation": _operation(application, policy)})
    found = await _until(client, key, _is_synced, RECONCILED_SECONDS)
    if found is None or _is_synced(found):
        return ""
    status = found.get("status") or {}
    told = (status.get("operationState") or {}).get("message") or (status.get("sync") or {}).get("status")
    return f"{key} is not what git asks for after {RECONCILED_SECONDS:g} s: {told}"


def _operation(application: Object, policy: Object) -> Object:
    """As Argo CD's own automated sync has it (3.2)."""
    compared = (application.get("status") or {}).get("sync") or {}
    revisions = {name: compared[name] for name in ("revision", "revisions") if compared.get(name)}
    sync: Object = {**revisions, "prune": bool(policy["automated"].get("prune"))}
    if options := policy.get("syncOptions"):
        sync["syncOptions"] = options
    return {"initiatedBy": {"username": objects.MANAGER}, "sync": sync}


async def _requested(client: Client, key: ObjectKey, before: Object) -> str:
    if (before.get("spec") or {}).get("suspend"):
        # for another session, which then gives it back; else by somebody since
        return "" if record_of(before) else f"{key} is suspended, and sees to it when that is over"
    token = datetime.now(UTC).isoformat()
    names = (REQUESTED, FORCED) if kind_of(before) == HELM_RELEASE else (REQUESTED,)
    await objects.patch(client, key, {"metadata": {"annotations": dict.fromkeys(names, token)}})
    checked = condition(before, "Reconciling")

    def is_done(object: Object) -> bool:
        if (object.get("status") or {}).get("lastHandledReconcileAt") == token:
            return True
        # what it applied it has applied, though it may look at the health of it for minutes
        return _is_checking(object) and condition(object, "Reconciling") != checked

    found = await _until(client, key, is_done, RECONCILED_SECONDS)
    if found is None:
        return ""
    if _is_checking(found) and not is_done(found):
        return f"{key} still waits for the health of what it applied before, and sees to it then"
    if not is_done(found):
        return f"{key} was not reconciled within {RECONCILED_SECONDS:g} s"
    ready = condition(found, "Ready")
    failed = ready.get("status") == "False" and ready.get("reason") not in AFTER_APPLYING
    return f"{key} cannot apply what git has: {ready.get('message') or ready.get('reason')}" if failed else ""


def _has_heard(object: Object) -> bool:
    kind = kind_of(object)
    if kind in LOOK_AGAIN:
        name, _ = LOOK_AGAIN[kind]
        return name not in (object["metadata"].get("annotations") or {}) and not _is_syncing(object)
    return not _is_applying(object)


def _is_applying(object: Object) -> bool:
    """Of Flux: from its look at git until all is applied. Between failed attempts the reason is another one."""
    found = condition(object, "Reconciling")
    is_busy = found.get("status") == "True" and found.get("reason") == "Progressing"
    return is_busy and not _is_checking(object)


def _is_checking(object: Object) -> bool:
    """Whether a Kustomization only waits until what it has applied is healthy (kustomize-controller 1.0 to 1.9)."""
    return condition(object, "Reconciling").get("message", "").startswith("Running health checks")


def _is_syncing(object: Object) -> bool:
    state = (object.get("status") or {}).get("operationState") or {}
    return "operation" in object or state.get("phase") in ("Running", "Terminating")


def _is_synced(application: Object) -> bool:
    sync = (application.get("status") or {}).get("sync") or {}
    return sync.get("status") == "Synced" and not _is_syncing(application)


async def _until(client: Client, key: ObjectKey, holds: Callable[[Object], bool], seconds: float) -> Object | None:
    """The object once ``holds``, or as it is after ``seconds``; None when it is gone."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while True:
        found = await _get(client, key)
        if found is None or holds(found) or clock() > deadline:
            return found
        await asyncio.sleep(PAUSE_SECONDS)


async def _get(client: Client, key: ObjectKey) -> Object | None:
    try:
        return {**(await objects.get(client, key)), "apiVersion": key.api_version, "kind": key.kind}
    except NotFound:
        return None
