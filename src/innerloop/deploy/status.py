"""Whether an object has become what its manifest asks for: pure rules over the object as the API returns it.

They follow kstatus (sigs.k8s.io/cli-utils, ``pkg/kstatus/status``, v0.37) with these differences: a Job is ready when
it has completed, because others may need what it did; a claim that waits for its first consumer is ready; a paused
Deployment is ready when its pods are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from innerloop.manifest import ObjectKey

Object = dict[str, Any]


class Status(NamedTuple):
    state: Literal["ready", "waiting", "failed"]
    message: str = ""
    """For people: what is waited for, or why it failed."""


READY = Status("ready")

NO_STATUS = frozenset(
    {"ConfigMap", "Secret", "ServiceAccount", "Endpoints", "LimitRange", "ResourceQuota"}
    | {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
    | {"StorageClass", "PriorityClass", "RuntimeClass", "IngressClass", "EndpointSlice"}
    | {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "NetworkPolicy", "Ingress", "CronJob"}
)
"""Kubernetes' own kinds that are ready as soon as they exist."""


def can_wait(key: ObjectKey) -> bool:
    """Whether the kind may be anything but ready once it exists, so that it is worth a look."""
    own = "." not in key.group or key.group.endswith(".k8s.io")
    return not (own and key.kind in NO_STATUS)


def status(object: Object) -> Status:
    """The state of an object; of kinds that are not known here by the conventional conditions."""
    metadata = object["metadata"]
    if metadata.get("deletionTimestamp"):
        return Status("waiting", "is being deleted")
    observed = _get(object, "status", "observedGeneration")
    if observed is not None and observed != metadata.get("generation"):
        return Status("waiting", "its controller has not seen the change yet")
    group = object["apiVersion"].rpartition("/")[0]
    rule = _RULES.get((group, object["kind"]), _custom)
    return rule(object)


def condition(object: Object, type: str) -> dict[str, str]:
    """One of ``status.conditions``, empty when there is none of that type."""
    conditions: list[dict[str, str]] = _get(object, "status", "conditions") or []
    return next((found for found in conditions if found.get("type") == type), {})


def _custom(object: Object) -> Status:
    """Conditions as the API conventions have them; ``Stalled`` and ``Reconciling`` by kstatus."""
    if (stalled := condition(object, "Stalled")).get("status") == "True":
        return Status("failed", _words(stalled))
    if (reconciling := condition(object, "Reconciling")).get("status") == "True":
        return Status("waiting", _words(reconciling))
    for type in ("Ready", "Available"):
        if (found := condition(object, type)) and not _holds(found, object):
            return Status("waiting", _words(found))
    return READY


def _deployment(object: Object) -> Status:
    wanted = _wanted(object)
    progressing = condition(object, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        seconds = _get(object, "spec", "progressDeadlineSeconds") or 600
        return Status("failed", f"made no progress for {seconds} s")
    if "status" not in object or _get(object, "status", "observedGeneration") is None:
        return Status("waiting", "waits for its controller")
    paused = bool(_get(object, "spec", "paused"))
    if not paused and _count(object, "updatedReplicas") < wanted:
        return Status("waiting", f"{_count(object, 'updatedReplicas')} of {wanted} pods updated")
    if not paused and (old := _count(object, "replicas") - _count(object, "updatedReplicas")) > 0:
        return Status("waiting", f"{old} {_pods(old)} of the former version still running")
    if (ready := _count(object, "availableReplicas")) < wanted:
        return Status("waiting", f"{ready} of {wanted} pods ready")
    return READY


def _stateful_set(object: Object) -> Status:
    if _get(object, "spec", "updateStrategy", "type") == "OnDelete":
        return READY
    wanted = _wanted(object)
    if _get(object, "status", "observedGeneration") is None:
        return Status("waiting", "waits for its controller")
    if (ready := _count(object, "readyReplicas")) < wanted:
        return Status("waiting", f"{ready} of {wanted} pods ready")
    partition = _get(object, "spec", "updateStrategy", "rollingUpdate", "partition") or 0
    status = object["status"]
    if partition and (updated := _count(object, "updatedReplicas")) < wanted - partition:
        return Status("waiting", f"{updated} of {wanted - partition} pods updated")
    if not partition and status.get("currentRevision") != status.get("updateRevision"):
        return Status("waiting", f"{_count(object, 'updatedReplicas')} of {wanted} pods updated")
    if (extra := _count(object, "replicas") - wanted) > 0:
        return Status("waiting", f"{extra} {_pods(extra)} too many still running")
    return READY


def _daemon_set(object: Object) -> Status:
    if _get(object, "status", "observedGeneration") is None:
        return Status("waiting", "waits for its controller")
    wanted = _count(object, "desiredNumberScheduled")
    on_delete = _get(object, "spec", "updateStrategy", "type") == "OnDelete"
    if not on_delete and (updated := _count(object, "updatedNumberScheduled")) < wanted:
        return Status("waiting", f"{updated} of {wanted} pods updated")
    if (ready := _count(object, "numberAvailable")) < wanted:
        return Status("waiting", f"{ready} of {wanted} pods ready")
    return READY


def _replica_set(object: Object) -> Status:
    wanted = _wanted(object)
    ready = _count(object, "availableReplicas")
    return READY if ready >= wanted else Status("waiting", f"{ready} of {wanted} pods ready")


def _job(object: Object) -> Status:
    if (failed := condition(object, "Failed")).get("status") == "True":
        return Status("failed", _words(failed))
    if condition(object, "Complete").get("status") == "True" or _get(object, "spec", "suspend"):
        return READY
    wanted = _get(object, "spec", "completions") or 1
    text = f"{_count(object, 'succeeded')} of {wanted} completed"
    if failures := _count(object, "failed"):
        text += f", {failures} {_pods(failures)} failed"
    return Status("waiting", text)


def _pod(object: Object) -> Status:
    status = object.get("status") or {}
    phase = status.get("phase")
    if phase == "Succeeded" or condition(object, "Ready").get("status") == "True":
        return READY
    if phase == "Failed":
        return Status("failed", status.get("message") or status.get("reason") or "failed")
    return Status("waiting", "starting" if phase != "Running" else "running, not ready")


def _claim(object: Object) -> Status:
    phase = _get(object, "status", "phase")
    if phase == "Bound":
        return READY
    if phase == "Lost":
        return Status("failed", f"has lost its volume {_get(object, 'spec', 'volumeName')}")
    return Status("waiting", "waits for a volume")


def _service(object: Object) -> Status:
    if _get(object, "spec", "type") != "LoadBalancer" or _get(object, "status", "loadBalancer", "ingress"):
        return READY
    return Status("waiting", "waits for the address of a load balancer")


def _definition(object: Object) -> Status:
    if (names := condition(object, "NamesAccepted")).get("status") == "False":
        return Status("failed", _words(names))
    established = condition(object, "Established").get("status") == "True"
    return READY if established else Status("waiting", "is not served yet")


def _namespace(object: Object) -> Status:
    return READY if _get(object, "status", "phase") == "Active" else Status("waiting", "is being set up")


_RULES: dict[tuple[str, str], Callable[[Object], Status]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "ReplicaSet"): _replica_set,
    ("", "ReplicationController"): _replica_set,
    ("batch", "Job"): _job,
    ("", "Pod"): _pod,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Service"): _service,
    ("", "Namespace"): _namespace,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}


def _holds(condition: dict[str, Any], object: Object) -> bool:
    # conditions may carry a generation of their own (metav1.Condition), e.g. in the Gateway API
    seen = condition.get("observedGeneration")
    current = seen is None or seen == object["metadata"].get("generation")
    return condition.get("status") == "True" and current


def _words(condition: dict[str, str]) -> str:
    return condition.get("message") or condition.get("reason") or f"{condition['type']}: {condition.get('status')}"


def _wanted(object: Object) -> int:
    replicas = _get(object, "spec", "replicas")
    return 1 if replicas is None else int(replicas)


def _count(object: Object, field: str) -> int:
    # the API leaves out counters that are 0
    return int(_get(object, "status", field) or 0)


def _pods(count: int) -> str:
    return "pod" if count == 1 else "pods"


def _get(object: Any, *path: str) -> Any:
    for name in path:
        if not isinstance(object, dict):
            return None
        object = object.get(name)
    return object
