"""One object that is waited for: from its state, what goes on around it and the time to a verdict. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from innerloop.deploy.causes import Cause
from innerloop.deploy.status import Status, status
from innerloop.deploy.surroundings import Surroundings
from innerloop.manifest import TARGET_ANNOTATION, ObjectKey

POD_KINDS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "Pod"})
EXPLAINED_KINDS = POD_KINDS | {"PersistentVolumeClaim"}
"""Kinds for which there are causes in their surroundings."""

LOAD_BALANCER_SECONDS = 20.0
"""After that a Service without an address counts as ready: many clusters have nobody who gives one, and nothing that
is developed depends on it."""

STEADY_SECONDS = 1.5
"""How long pods that just started have to stay up where no readiness probe tells: a program that ends at once is
reported ready for up to a second before its end is noticed (kubelet 1.36 looks at containers once a second)."""

Lines = Mapping[tuple[str, str, int], Sequence[str]]
"""Last log lines by pod, container and number of restarts."""


class Item:
    """An object that is waited for, with what is known of it."""

    def __init__(self, key: ObjectKey, started: float) -> None:
        self.key = key
        self.started = started
        self.object: dict[str, Any] | None = None
        self.listed = False
        """Whether its kind has been listed, so that a missing object is known to be missing."""
        self.cause: Cause | None = None
        self.since = started
        """When the present cause was first seen."""
        self.up_since: float | None = None
        self.message = ""
        """What was told last."""

    @property
    def expires(self) -> float:
        """When the verdict changes though nothing else does: a cause has lasted too long, or a start long enough."""
        if self.up_since is not None:
            return self.up_since + STEADY_SECONDS
        if self.cause is None or self.cause.patience is None:
            return float("inf")
        return self.since + self.cause.patience

    @property
    def step(self) -> str:
        return f"ready/{self.key.kind}/{self.key.name}"

    @property
    def title(self) -> str:
        return f"wait for {self.key}"

    def judge(self, surroundings: Surroundings, lines: Lines, now: float, *, surrounded: bool) -> Status:
        """The verdict at ``now``; ``surrounded`` tells whether all that is around the object has been seen."""
        if self.object is None:
            return Status("failed", "was deleted" if self.message else "does not exist")
        found = status(self.object)
        if found.state == "ready":
            return found if self._is_steady(self.object, now) else Status("waiting", "started")
        self.up_since = None
        if self.key.kind == "PersistentVolumeClaim" and surroundings.awaits_consumer(self.object):
            return Status("ready", "waits for its first consumer")
        self._blame(_cause(self.object, surroundings), now)
        message = f"{found.message}: {_words(self.cause, lines)}" if self.cause else found.message
        if found.state == "failed":
            # the cause comes a moment later than the failure when both were there before
            return Status("failed" if surrounded else "waiting", message)
        if self.expires > now:
            return Status("waiting", message)
        return Status("ready", "has no address yet") if self.key.kind == "Service" else Status("failed", message)

    def _is_steady(self, object: dict[str, Any], now: float) -> bool:
        # what was ready at the first look has not just started
        if not self.message or not _may_end_at_once(object):
            return True
        if self.up_since is None:
            self.up_since = now
        return now >= self.up_since + STEADY_SECONDS

    def _blame(self, cause: Cause | None, now: float) -> None:
        if cause is None or self.cause is None or cause.identity != self.cause.identity:
            self.since = now
        self.cause = cause


def _cause(object: dict[str, Any], surroundings: Surroundings) -> Cause | None:
    # until the controller has seen the change, the pods are those of the former version
    observed = (object.get("status") or {}).get("observedGeneration")
    if observed is not None and observed != object["metadata"].get("generation"):
        return None
    if object["kind"] == "Service":
        return Cause("address", "no controller has given one", LOAD_BALANCER_SECONDS)
    return surroundings.cause(object) if object["kind"] in EXPLAINED_KINDS else None


def _words(cause: Cause, lines: Lines) -> str:
    last = lines.get((cause.pod, cause.container, cause.restarts))
    return f"{cause.message}: {last[-1]}" if last else cause.message


def _may_end_at_once(object: dict[str, Any]) -> bool:
    """Whether the object has pods that count as ready as soon as they run."""
    spec = object.get("spec") or {}
    template = object if object["kind"] == "Pod" else spec.get("template")
    if object["kind"] == "Job" or not template or spec.get("replicas") == 0 or spec.get("minReadySeconds"):
        return False
    if TARGET_ANNOTATION in (template["metadata"].get("annotations") or {}):
        return False
    return any("readinessProbe" not in container for container in template["spec"]["containers"])
