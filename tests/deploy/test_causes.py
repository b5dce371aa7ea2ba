"""What users are told, from states and Events recorded on Kubernetes 1.36 with containerd."""

from __future__ import annotations

from typing import Any

import pytest

from innerloop.deploy import causes
from innerloop.deploy.causes import claim_cause, creation_cause, pod_cause

RUNNING = {"running": {"startedAt": "2026-11-23T07:57:42Z"}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def pod(state: dict[str, Any], last: dict[str, Any] | None = None, restarts: int = 0, **status: Any) -> dict[str, Any]:
    container = {"name": "app", "image": "shop/web:1", "resources": {"limits": {"memory": "20Mi"}}}
    one = {"name": "app", "image": "shop/web:1", "ready": False, "state": state, "restartCount": restarts}
    return {
        "metadata": {"name": "web-1"},
        "spec": {"containers": [container]},
        "status": {"phase": "Pending", "containerStatuses": [{**one, "lastState": last or {}}], **status},
    }


def event(reason: str, message: str) -> dict[str, Any]:
    return {"reason": reason, "message": message}


PULL = (
    'failed to pull and unpack image "docker.io/shop/web:1": failed to resolve reference "docker.io/shop/web:1": '
    "docker.io/shop/web:1: not found"
)
DIAL = 'failed to do request: Head "https://registry-1.docker.io/v2/": dial tcp: lookup: i/o timeout'
START = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    'unable to start container process: exec: "nope": executable file not found in $PATH: unknown'
)
UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes …",
}
PODS = [
    (
        pod(waiting("InvalidImageName", 'Failed to apply: couldn\'t parse image name "Web:1": must be lowercase')),
        [],
        ("image", "shop/web:1 is not a valid image reference: must be lowercase", causes.AT_ONCE),
    ),
    (pod(waiting("ErrImageNeverPull", "…")), [], ("image", "imagePullPolicy is Never", causes.AT_ONCE)),
    (
        pod(waiting("ErrImagePull", PULL)),
        [],
        ("image", "image shop/web:1 cannot be pulled: docker.io/shop/web:1: not found", causes.REFUSED),
    ),
    (
        pod(waiting("ImagePullBackOff", f'Back-off pulling image "shop/web:1": ErrImagePull: {PULL}')),
        [],
        ("image", "cannot be pulled: docker.io/shop/web:1: not found", causes.REFUSED),
    ),
    (
        pod(waiting("ImagePullBackOff", 'Back-off pulling image "shop/web:1"')),
        [event("Failed", f'Failed to pull image "shop/web:1": {DIAL}'), event("Failed", "Error: ErrImagePull")],
        ("image", "cannot be pulled: failed to do request: Head", causes.UNREACHABLE),
    ),
    (
        pod(waiting("CreateContainerConfigError", 'secret "keys" not found')),
        [],
        ("config", 'container app cannot be created: secret "keys" not found', causes.MISSING),
    ),
    (
        pod(waiting("CrashLoopBackOff"), ended(3), 2),
        [],
        ("crash", "container app exited with code 3, restarted 2 times", causes.BACK_OFF),
    ),
    (pod(RUNNING, ended(3), 1), [], ("restart", "container app exited with code 3, restarted 1 time", None)),
    (
        pod(waiting("CrashLoopBackOff"), ended(0, "Completed"), 1),
        [],
        ("crash", "exited with code 0", causes.BACK_OFF),
    ),
    (
        pod(waiting("CrashLoopBackOff"), ended(137, "OOMKilled"), 1),
        [],
        ("crash", "was killed: out of memory (limit 20Mi)", causes.BACK_OFF),
    ),
    (
        pod(waiting("CrashLoopBackOff"), ended(137), 1),
        [event("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500")],
        ("crash", "was killed by the kubelet: liveness probe failed: HTTP probe failed", causes.BACK_OFF),
    ),
    (
        pod(waiting("CrashLoopBackOff"), ended(128, "StartError", START), 1),
        [],
        ("start", 'container app cannot start: exec: "nope": executable file not found in $PATH', causes.AT_ONCE),
    ),
    (
        pod(RUNNING),
        [event("Unhealthy", "Readiness probe failed: connection refused")],
        ("probe", "readiness probe failed: connection refused", None),
    ),
    (pod(RUNNING), [], ("progress", "running, not ready yet", None)),
    (
        pod(waiting("ContainerCreating")),
        [event("FailedMount", 'MountVolume.SetUp failed for volume "v" : configmap "settings" not found')],
        ("volume", 'configmap "settings" not found', causes.MISSING),
    ),
    (
        pod(waiting("ContainerCreating")),
        [event("FailedAttachVolume", "Multi-Attach error for volume")],
        ("volume", "Multi-Attach", None),
    ),
    (
        pod(waiting("ContainerCreating")),
        [event("Scheduled", "…"), event("Pulling", 'Pulling image "shop/web:1"')],
        ("progress", 'pulling image "shop/web:1"', None),
    ),
    (pod(waiting("ContainerCreating")), [], ("progress", "starting", None)),
    (
        pod({}, conditions=[UNSCHEDULABLE]),
        [],
        ("scheduling", "no node takes the pod: 0/1 nodes are available: 1 Insufficient cpu.", None),
    ),
]


@pytest.mark.parametrize(("object", "events", "expected"), PODS)
def test_cause_of_a_pod(
    object: dict[str, Any], events: list[dict[str, Any]], expected: tuple[str, str, float | None]
) -> None:
    found = pod_cause(object, events)
    kind, words, patience = expected
    assert (found.kind, found.patience, found.pod) == (kind, patience, "web-1")
    assert words in found.message


def test_unschedulable_leaves_out_preemption() -> None:
    assert pod_cause(pod({}, conditions=[UNSCHEDULABLE]), []).message.endswith("Insufficient cpu.")


def test_hopeless_container_is_told_before_a_hopeful_one() -> None:
    object = pod(waiting("CrashLoopBackOff"), ended(1), 1)
    object["status"]["initContainerStatuses"] = [
        {"name": "init", "image": "X", "state": waiting("InvalidImageName"), "restartCount": 0}
    ]
    assert pod_cause(object, []).container == "init"


def test_finished_init_container_is_no_trouble() -> None:
    object = pod(waiting("PodInitializing"))
    object["status"]["initContainerStatuses"] = [{"name": "init", "ready": True, "state": ended(0, "Completed")}]
    assert pod_cause(object, []).kind == "progress"


def test_crashed_container_has_logs() -> None:
    found = pod_cause(pod(waiting("CrashLoopBackOff"), ended(3), 2), [])
    assert (found.container, found.logs, found.restarts) == ("app", "current", 2)


def test_crash_is_one_before_the_kubelet_calls_it_so() -> None:
    found = pod_cause(pod(ended(3)), [])
    assert (found.kind, found.patience) == ("crash", causes.BACK_OFF)


def test_pod_of_a_job_that_failed_leaves_it_to_the_job() -> None:
    object = pod(ended(3))
    object["spec"]["restartPolicy"] = "Never"
    assert pod_cause(object, []).patience is None


def test_container_that_runs_again_has_the_logs_of_the_crash_in_the_former_one() -> None:
    assert pod_cause(pod(RUNNING, ended(3), 1), []).logs == "previous"


def test_readiness_gate_is_named() -> None:
    object = pod(RUNNING, conditions=[{"type": "ContainersReady", "status": "True"}])
    object["spec"]["readinessGates"] = [{"conditionType": "shop.example/warm"}]
    assert "shop.example/warm" in pod_cause(object, []).message


QUOTA = 'pods "web-zl6d4" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0'


@pytest.mark.parametrize(
    "message",
    [
        f"Error creating: {QUOTA}",
        f"(combined from similar events): Error creating: {QUOTA}",
        f"Create Pod db-0 in StatefulSet db failed error: {QUOTA}",
    ],
)
def test_quota_is_told_from_events(message: str) -> None:
    found = creation_cause({"status": {}}, [event("FailedCreate", message)])
    assert found is not None
    assert found.message.startswith("pods are refused: exceeded quota: q, requested: pods=1")


def test_quota_is_told_from_a_deployments_condition() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": QUOTA}
    found = creation_cause({"status": {"conditions": [failure]}}, [])
    assert found is not None
    assert found.patience == causes.REFUSED


def test_workload_without_failures_has_no_cause() -> None:
    assert creation_cause({"status": {}}, [event("SuccessfulCreate", "Created pod: web-1")]) is None


def test_claim_without_storage_class_is_told() -> None:
    found = claim_cause([event("FailedBinding", "no persistent volumes available and no storage class is set")])
    assert found is not None
    assert "no storage class" in found.message
