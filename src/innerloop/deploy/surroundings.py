"""What goes on around the objects that are waited for: their pods, ReplicaSets and Events, by owner.

Fed from watches, without I/O of its own; tells whose cause may have changed, so that nothing else is looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from innerloop.deploy.causes import Cause, claim_cause, creation_cause, pod_cause
from innerloop.deploy.status import status

Object = dict[str, Any]

REASONS = frozenset(
    {"Pulling", "Pulled", "Failed", "Unhealthy", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"}
    | {"FailedCreate", "FailedBinding", "ProvisioningFailed", "WaitForFirstConsumer"}
)
"""Of Events that tell something; the others only cost memory."""


class Surroundings:
    """Pods, ReplicaSets and Events of the namespaces that are looked at."""

    def __init__(self) -> None:
        self._owned: defaultdict[str, dict[str, Object]] = defaultdict(dict)
        """Pods and ReplicaSets by UID of their owner, then by their own."""
        self._events: defaultdict[str, dict[str, Object]] = defaultdict(dict)
        self._owner: dict[str, str] = {}

    def feed(self, type: str, object: Object) -> Iterator[str]:
        """Take in one change; yields the UIDs of all objects whose cause it may change."""
        uid = object["metadata"]["uid"]
        if object["kind"] == "Event":
            if object.get("reason") not in REASONS:
                return
            involved = object["involvedObject"].get("uid", "")
            _keep(self._events[involved], uid, object, type)
            yield from self._upwards(involved)
            return
        owner = _controller(object)
        if owner:
            self._owner[uid] = owner
            _keep(self._owned[owner], uid, object, type)
        yield from self._upwards(uid)

    def cause(self, object: Object) -> Cause | None:
        """Why an object is not ready, None where its surroundings tell nothing."""
        uid = object["metadata"]["uid"]
        match object["kind"]:
            case "Pod":
                return pod_cause(object, self._told(uid))
            case "PersistentVolumeClaim":
                return claim_cause(self._told(uid))
            case "Deployment":
                return self._deployment(object)
            case "StatefulSet":
                return self._stateful_set(object)
            case "Job":
                newest = max(self._owned[uid].values(), key=_age, default=None)
                return self._worst([newest] if newest else []) or creation_cause(object, self._told(uid))
            case _:
                return self._worst(self._owned[uid].values()) or creation_cause(object, self._told(uid))

    def awaits_consumer(self, claim: Object) -> bool:
        """Whether a PersistentVolumeClaim has no volume because no pod uses it yet (``WaitForFirstConsumer``)."""
        return any(event["reason"] == "WaitForFirstConsumer" for event in self._told(claim["metadata"]["uid"]))

    def _deployment(self, object: Object) -> Cause | None:
        # pods of former ReplicaSets may be in any trouble: that is why a new version comes
        revision = _annotation(object, "deployment.kubernetes.io/revision")
        for set in self._owned[object["metadata"]["uid"]].values():
            if set["kind"] == "ReplicaSet" and _annotation(set, "deployment.kubernetes.io/revision") == revision:
                uid = set["metadata"]["uid"]
                return self._worst(self._owned[uid].values()) or creation_cause(object, self._told(uid))
        return creation_cause(object, [])

    def _stateful_set(self, object: Object) -> Cause | None:
        uid = object["metadata"]["uid"]
        revision = (object.get("status") or {}).get("updateRevision")
        pods = list(self._owned[uid].values())
        current = [pod for pod in pods if _revision(pod) == revision]
        if cause := self._worst(current) or creation_cause(object, self._told(uid)):
            return cause
        # with the policy OrderedReady the controller does not replace a pod before it is ready (1.36)
        if blocking := self._worst(pods):
            words = f"{blocking.pod} of the former version has to be ready first: {blocking.message}"
            return blocking._replace(kind="blocked", message=words)
        return None

    def _worst(self, pods: Iterable[Object]) -> Cause | None:
        causes = [
            pod_cause(pod, self._told(pod["metadata"]["uid"]))
            for pod in sorted(pods, key=_age)
            if pod["kind"] == "Pod" and not pod["metadata"].get("deletionTimestamp") and status(pod).state != "ready"
        ]
        return min(causes, key=lambda cause: cause.urgency, default=None)

    def _told(self, uid: str) -> list[Object]:
        return sorted(self._events[uid].values(), key=_time) if uid in self._events else []

    def _upwards(self, uid: str) -> Iterator[str]:
        seen: str | None = uid
        while seen:
            yield seen
            seen = self._owner.get(seen)


def _keep(kept: dict[str, Object], uid: str, object: Object, type: str) -> None:
    if type == "DELETED":
        kept.pop(uid, None)
    else:
        kept[uid] = object


def _controller(object: Object) -> str:
    owners = object["metadata"].get("ownerReferences") or []
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


def _annotation(object: Object, name: str) -> str | None:
    return (object["metadata"].get("annotations") or {}).get(name)


def _revision(pod: Object) -> str | None:
    return (pod["metadata"].get("labels") or {}).get("controller-revision-hash")


def _age(object: Object) -> tuple[str, str]:
    return object["metadata"].get("creationTimestamp") or "", object["metadata"]["name"]


def _time(event: Object) -> str:
    """When it was last seen, by whichever of the two Event APIs its reporter uses."""
    series = event.get("series") or {}
    times = (event.get("lastTimestamp"), series.get("lastObservedTime"), event.get("eventTime"))
    return next((time for time in times if time), event["metadata"].get("creationTimestamp") or "")
