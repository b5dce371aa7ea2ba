"""The rules, on objects as API servers of Kubernetes 1.36 return them."""

from __future__ import annotations

from typing import Any

import pytest

from innerloop.deploy.status import can_wait, status
from innerloop.manifest import ObjectKey


def made(kind: str, spec: dict[str, Any] | None = None, state: dict[str, Any] | None = None) -> dict[str, Any]:
    api_version, _, kind = kind.rpartition(" ")
    metadata = {"name": "web", "namespace": "shop", "generation": 2}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec or {}, "status": state or {}}


def conditions(**states: str) -> dict[str, Any]:
    return {"conditions": [{"type": t, "status": s, "message": f"{t} is {s}"} for t, s in states.items()]}


DEPLOYED = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
SETTLED = {
    "observedGeneration": 2,
    "replicas": 2,
    "readyReplicas": 2,
    "updatedReplicas": 2,
    "currentRevision": "a",
    "updateRevision": "a",
}
EVERYWHERE = {
    "observedGeneration": 2,
    "desiredNumberScheduled": 2,
    "updatedNumberScheduled": 2,
    "numberAvailable": 2,
}
TWO = {"replicas": 2}
DEADLINE = {
    "observedGeneration": 2,
    "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}],
}
CASES = [
    ("apps/v1 Deployment", TWO, DEPLOYED, "ready", ""),
    ("apps/v1 Deployment", {"replicas": 0}, {"observedGeneration": 2}, "ready", ""),
    ("apps/v1 Deployment", TWO, {}, "waiting", "controller"),
    ("apps/v1 Deployment", TWO, DEPLOYED | {"observedGeneration": 1}, "waiting", "not seen the change"),
    ("apps/v1 Deployment", TWO, DEPLOYED | {"updatedReplicas": 1}, "waiting", "1 of 2 pods updated"),
    ("apps/v1 Deployment", TWO, DEPLOYED | {"replicas": 3}, "waiting", "1 pod of the former version"),
    ("apps/v1 Deployment", TWO, DEPLOYED | {"availableReplicas": 1}, "waiting", "1 of 2 pods ready"),
    ("apps/v1 Deployment", TWO | {"paused": True}, DEPLOYED | {"updatedReplicas": 0}, "ready", ""),
    ("apps/v1 Deployment", {"progressDeadlineSeconds": 60}, DEADLINE, "failed", "no progress for 60 s"),
    ("apps/v1 StatefulSet", TWO, SETTLED, "ready", ""),
    ("apps/v1 StatefulSet", TWO, {}, "waiting", "controller"),
    ("apps/v1 StatefulSet", TWO, SETTLED | {"readyReplicas": 1}, "waiting", "1 of 2 pods ready"),
    ("apps/v1 StatefulSet", TWO, SETTLED | {"updateRevision": "b", "updatedReplicas": 0}, "waiting", "0 of 2 pods"),
    ("apps/v1 StatefulSet", TWO, SETTLED | {"replicas": 3}, "waiting", "1 pod too many"),
    ("apps/v1 StatefulSet", {"updateStrategy": {"type": "OnDelete"}}, SETTLED, "ready", ""),
    (
        "apps/v1 StatefulSet",
        TWO | {"updateStrategy": {"rollingUpdate": {"partition": 1}}},
        SETTLED | {"updateRevision": "b", "updatedReplicas": 1},
        "ready",
        "",
    ),
    ("apps/v1 DaemonSet", {}, EVERYWHERE, "ready", ""),
    ("apps/v1 DaemonSet", {}, {}, "waiting", "controller"),
    ("apps/v1 DaemonSet", {}, EVERYWHERE | {"updatedNumberScheduled": 1}, "waiting", "1 of 2 pods updated"),
    ("apps/v1 DaemonSet", {}, EVERYWHERE | {"numberAvailable": 0}, "waiting", "0 of 2 pods ready"),
    ("apps/v1 ReplicaSet", TWO, {"availableReplicas": 1}, "waiting", "1 of 2"),
    ("batch/v1 Job", {}, conditions(Complete="True"), "ready", ""),
    ("batch/v1 Job", {}, {"failed": 1}, "waiting", "0 of 1 completed, 1 pod failed"),
    ("batch/v1 Job", {}, conditions(FailureTarget="True", Failed="True"), "failed", "Failed is True"),
    ("batch/v1 Job", {"suspend": True}, {}, "ready", ""),
    ("v1 Pod", {}, {"phase": "Running"} | conditions(Ready="True"), "ready", ""),
    ("v1 Pod", {}, {"phase": "Running"} | conditions(Ready="False"), "waiting", "not ready"),
    ("v1 Pod", {}, {"phase": "Succeeded"} | conditions(Ready="False"), "ready", ""),
    ("v1 Pod", {}, {"phase": "Failed", "reason": "Evicted", "message": "out of disk"}, "failed", "out of disk"),
    ("v1 PersistentVolumeClaim", {}, {"phase": "Bound"}, "ready", ""),
    ("v1 PersistentVolumeClaim", {}, {"phase": "Pending"}, "waiting", "volume"),
    ("v1 PersistentVolumeClaim", {"volumeName": "pv1"}, {"phase": "Lost"}, "failed", "pv1"),
    ("v1 Service", {"type": "ClusterIP"}, {"loadBalancer": {}}, "ready", ""),
    ("v1 Service", {"type": "LoadBalancer"}, {"loadBalancer": {}}, "waiting", "load balancer"),
    ("v1 Service", {"type": "LoadBalancer"}, {"loadBalancer": {"ingress": [{"ip": "10.0.0.9"}]}}, "ready", ""),
    ("v1 Namespace", {}, {"phase": "Active"}, "ready", ""),
    ("apiextensions.k8s.io/v1 CustomResourceDefinition", {}, {}, "waiting", "not served"),
    ("apiextensions.k8s.io/v1 CustomResourceDefinition", {}, conditions(Established="True"), "ready", ""),
    (
        "apiextensions.k8s.io/v1 CustomResourceDefinition",
        {},
        conditions(NamesAccepted="False", Established="False"),
        "failed",
        "NamesAccepted",
    ),
    ("example.com/v1 Widget", {}, {}, "ready", ""),
    ("example.com/v1 Widget", {}, conditions(Ready="True"), "ready", ""),
    ("example.com/v1 Widget", {}, conditions(Ready="False"), "waiting", "Ready is False"),
    ("example.com/v1 Widget", {}, conditions(Ready="Unknown"), "waiting", "Ready is Unknown"),
    ("example.com/v1 Widget", {}, conditions(Available="False"), "waiting", "Available is False"),
    ("example.com/v1 Widget", {}, conditions(Stalled="True", Ready="False"), "failed", "Stalled is True"),
    ("example.com/v1 Widget", {}, {"observedGeneration": 1} | conditions(Ready="True"), "waiting", "not seen"),
    (
        "example.com/v1 Widget",
        {},
        {"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 1, "message": "old"}]},
        "waiting",
        "old",
    ),
]


@pytest.mark.parametrize(("kind", "spec", "state", "expected", "words"), CASES)
def test_status(kind: str, spec: dict[str, Any], state: dict[str, Any], expected: str, words: str) -> None:
    found = status(made(kind, spec, state))
    assert found.state == expected
    assert words in found.message


def test_object_that_is_being_deleted_is_not_ready() -> None:
    going = made("v1 ConfigMap")
    going["metadata"]["deletionTimestamp"] = "2026-11-23T07:57:38Z"
    assert status(going).state == "waiting"


@pytest.mark.parametrize(
    ("api_version", "kind", "worth_a_look"),
    [
        ("v1", "ConfigMap", False),
        ("rbac.authorization.k8s.io/v1", "Role", False),
        ("apps/v1", "Deployment", True),
        ("example.com/v1", "Ingress", True),
    ],
)
def test_only_kinds_with_a_state_are_looked_at(api_version: str, kind: str, worth_a_look: bool) -> None:
    assert can_wait(ObjectKey(api_version, kind, "shop", "web")) is worth_a_look
