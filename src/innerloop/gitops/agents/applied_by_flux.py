"""Which of Flux's Kustomizations follow a repository, and how far they are (kustomize-controller 1.0 to 1.9).

A Kustomization's ``lastAppliedRevision`` is the last that was applied and passed its health checks,
``lastAttemptedRevision`` the one that its condition Ready is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from innerloop.deploy.status import condition
from innerloop.gitops.agents.following import Followed
from innerloop.gitops.agents.verdicts import Follower, Kind, Verdict

Object = dict[str, Any]

KUSTOMIZATIONS = Kind("kustomize.toolkit.fluxcd.io", ("v1", "v1beta2"), "Kustomization", "flux-system")
REPOSITORIES = Kind("source.toolkit.fluxcd.io", ("v1", "v1beta2"), "GitRepository", "flux-system")

PASSING = frozenset({"ArtifactFailed", "DependencyNotReady", "Progressing", "ProgressingWithRetry"})
"""Reasons of a Ready that is False for which nothing is wrong with the commit."""
_OBJECT = re.compile(r"\b([A-Z]\w+)/(?:[a-z0-9.-]+/)?([a-z0-9][a-z0-9.:-]*)")
"""``Deployment/vote/web`` in its messages."""


def followers(kustomizations: Iterable[Object], repositories: Iterable[Object], place: Followed) -> list[Follower]:
    """Those of the Kustomizations that apply what is at ``place``."""
    sources = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in repositories}
    found = []
    for one in kustomizations:
        spec = one.get("spec") or {}
        reference = spec.get("sourceRef") or {}
        namespace = reference.get("namespace") or one["metadata"]["namespace"]
        source = sources.get((namespace, reference.get("name", "")))
        if reference.get("kind") != REPOSITORIES.kind or source is None or not _is_at(source, place):
            continue
        # it makes a kustomization of all that is below its path where there is none
        if place.is_below(spec.get("path") or "", recursive=True):
            found.append(_follower(one, source))
    return found


def commit_of(revision: str) -> str:
    """The commit of a revision: ``main@sha1:abc``, before Flux 2.0 ``main/abc``."""
    return re.split(r"[:/]", revision)[-1]


def _is_at(source: Object, place: Followed) -> bool:
    spec = source.get("spec") or {}
    reference = spec.get("ref") or {}
    if any(reference.get(field) for field in ("tag", "semver", "commit")):
        return False
    # without any, its branch is `master`
    return place.is_at(spec.get("url") or "", reference.get("name") or reference.get("branch") or "master")


def _follower(one: Object, source: Object) -> Follower:
    status, metadata, spec = one.get("status") or {}, one["metadata"], one.get("spec") or {}
    verdict, message = _verdict(one)
    named = _OBJECT.search(message) if verdict == "failed" else None
    return Follower(
        agent="Flux",
        name=f"Kustomization {metadata['namespace']}/{metadata['name']}",
        applied=commit_of(status.get("lastAppliedRevision") or ""),
        attempted=commit_of(status.get("lastAttemptedRevision") or status.get("lastAppliedRevision") or ""),
        verdict=verdict,
        message=message,
        object=f"{named[1]}/{named[2]}" if named else "",
        held=_held(one, source),
        elsewhere=bool(spec.get("kubeConfig")),
    )


def _verdict(one: Object) -> tuple[Verdict, str]:
    ready = condition(one, "Ready")
    message = ready.get("message") or ready.get("reason") or ""
    if ready.get("status") == "True":
        spec = one.get("spec") or {}
        checked = spec.get("wait") or spec.get("healthChecks")
        return ("healthy" if checked else "applied"), ""
    if ready.get("status") == "False" and ready.get("reason") not in PASSING:
        return "failed", message
    return "progressing", message


def _held(one: Object, source: Object) -> str:
    if (one.get("spec") or {}).get("suspend"):
        return "is suspended"
    name = f"GitRepository {source['metadata']['namespace']}/{source['metadata']['name']}"
    if (source.get("spec") or {}).get("suspend"):
        return f"its {name} is suspended"
    ready = condition(source, "Ready")
    if ready.get("status") == "False":
        return f"its {name} cannot be read: {ready.get('message') or ready.get('reason')}"
    return ""
