"""Which of Argo CD's Applications follow a repository, and how far they are (Argo CD 2.4 to 3.5).

``status.sync`` tells what the cluster was compared with, not what was applied: that is its revision only where the
two are the same (Synced), else the last of ``status.history``. Health of single objects is there before 3.0 only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from innerloop.gitops.agents.following import Followed
from innerloop.gitops.agents.verdicts import Follower, Kind, Verdict

Object = dict[str, Any]

APPLICATIONS = Kind("argoproj.io", ("v1alpha1",), "Application", "argocd")
HERE = ("https://kubernetes.default.svc", "in-cluster")
"""How an Application names the cluster that it is in: by server, by name."""


class _Source(NamedTuple):
    repository: str
    branch: str
    path: str
    recursive: bool
    number: int | None
    """Among several, None for a single one."""


def followers(applications: Iterable[Object], place: Followed) -> list[Follower]:
    """Those of the Applications that apply what is at ``place``."""
    found = []
    for one in applications:
        for source in _sources(one.get("spec") or {}):
            at = place.is_at(source.repository, source.branch)
            if at and place.is_below(source.path, recursive=source.recursive):
                found.append(_follower(one, source))
                break
    return found


def _sources(spec: Object) -> Iterator[_Source]:
    hydrated = spec.get("sourceHydrator")
    if hydrated:
        dry, synced = hydrated.get("drySource") or {}, hydrated.get("syncSource") or {}
        repository = synced.get("repoURL") or dry.get("repoURL") or ""
        yield _Source(repository, synced.get("targetBranch") or "", synced.get("path") or "", False, None)
    several = spec.get("sources") or []
    for index, source in enumerate(several or filter(None, [spec.get("source")])):
        recursive = bool((source.get("directory") or {}).get("recurse"))
        branch = source.get("targetRevision") or "HEAD"
        number = index if several else None
        yield _Source(source.get("repoURL") or "", branch, source.get("path") or "", recursive, number)


def _follower(one: Object, source: _Source) -> Follower:
    spec, status, metadata = one.get("spec") or {}, one.get("status") or {}, one["metadata"]
    applied = _applied(status, source)
    verdict, message, object = _verdict(status)
    destination = spec.get("destination") or {}
    return Follower(
        agent="Argo CD",
        name=f"Application {metadata['namespace']}/{metadata['name']}",
        applied=applied,
        attempted=_attempted(status, source) or applied,
        verdict=verdict,
        message=message,
        object=object,
        held=_held(one),
        elsewhere=not {destination.get("server"), destination.get("name")} & set(HERE),
    )


def _applied(status: Object, source: _Source) -> str:
    sync = status.get("sync") or {}
    if sync.get("status") == "Synced":
        return _revision(sync, source)
    history = status.get("history") or []
    return _revision(history[-1], source) if history else ""


def _attempted(status: Object, source: _Source) -> str:
    """What the verdict is about: the newer of the last comparison and the last operation."""
    sync, state = status.get("sync") or {}, status.get("operationState") or {}
    if sync.get("status") == "Synced" or _errors(status):
        return _revision(sync, source)
    asked = (state.get("operation") or {}).get("sync") or {}
    return _revision(state.get("syncResult") or {}, source) or _revision(asked, source)


def _revision(told: Object, source: _Source) -> str:
    if source.number is None:
        return told.get("revision") or ""
    revisions = told.get("revisions") or []
    return revisions[source.number] if source.number < len(revisions) else ""


def _verdict(status: Object) -> tuple[Verdict, str, str]:
    """The verdict, what is told of it, and the object that is to blame."""
    if errors := _errors(status):
        return "failed", errors[0], ""
    state = status.get("operationState") or {}
    synced = (status.get("sync") or {}).get("status") == "Synced"
    if not synced and state.get("phase") in ("Failed", "Error"):
        resources = (state.get("syncResult") or {}).get("resources") or []
        failed = next((one for one in resources if one.get("status") == "SyncFailed"), None)
        if failed:
            return "failed", failed.get("message") or state.get("message") or "", _named(failed)
        return "failed", state.get("message") or state["phase"], ""
    if state.get("phase") in ("Running", "Terminating"):
        return "progressing", state.get("message") or "", ""
    return _health(status)


def _health(status: Object) -> tuple[Verdict, str, str]:
    health = status.get("health") or {}
    word = health.get("status")
    resources = status.get("resources") or []
    ill = next((one for one in resources if (one.get("health") or {}).get("status") == word), None)
    message = ((ill or {}).get("health") or {}).get("message") or health.get("message") or ""
    match word:
        case "Healthy":
            return "healthy", "", ""
        case "Degraded":
            return "failed", message or "is Degraded", _named(ill) if ill else ""
        case "Progressing" | "Missing" | "Suspended":
            return "progressing", message or f"is {word}", _named(ill) if ill else ""
        case _:
            return "applied", message, ""


def _errors(status: Object) -> list[str]:
    """What keeps it from comparing or syncing at all."""
    conditions = status.get("conditions") or []
    # of a failed sync the operation itself tells, with the object that is to blame
    kinds = {type for one in conditions if (type := one.get("type", "")).endswith("Error")} - {"SyncError"}
    return [one.get("message") or one["type"] for one in conditions if one.get("type") in kinds]


def _held(one: Object) -> str:
    automated = ((one.get("spec") or {}).get("syncPolicy") or {}).get("automated")
    annotations = one["metadata"].get("annotations") or {}
    if annotations.get("argocd.argoproj.io/skip-reconcile") == "true":
        return "is not reconciled (annotation skip-reconcile)"
    # null enables it
    if automated is None or automated.get("enabled") is False:
        return "is synced by hand only"
    return ""


def _named(resource: Object) -> str:
    return f"{resource.get('kind')}/{resource.get('name')}"
