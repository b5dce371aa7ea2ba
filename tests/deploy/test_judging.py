"""Verdicts over time, without waiting for it."""

from __future__ import annotations

from typing import Any

import pytest

from innerloop.deploy import causes
from innerloop.deploy.judging import LOAD_BALANCER_SECONDS, STEADY_SECONDS, Item
from innerloop.deploy.surroundings import Surroundings
from innerloop.manifest import ObjectKey

KEY = ObjectKey("apps/v1", "Deployment", "shop", "web")


def deployment(available: int, *, generation: int = 1, revision: str = "1") -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "uid": "deployment",
            "generation": generation,
            "annotations": {"deployment.kubernetes.io/revision": revision},
        },
        "spec": {"replicas": 1, "template": {"metadata": {}, "spec": {"containers": [{"name": "app"}]}}},
        "status": {
            "observedGeneration": 1,
            "replicas": 1,
            "updatedReplicas": 1,
            "readyReplicas": available,
            "availableReplicas": available,
        },
    }


def replica_set(uid: str, revision: str) -> dict[str, Any]:
    return {
        "kind": "ReplicaSet",
        "metadata": {
            "name": uid,
            "uid": uid,
            "annotations": {"deployment.kubernetes.io/revision": revision},
            "ownerReferences": [{"uid": "deployment", "controller": True}],
        },
    }


def pod(owner: str, reason: str, name: str = "web-1") -> dict[str, Any]:
    state = {"name": "app", "image": "web:1", "state": {"waiting": {"reason": reason, "message": "m: not found"}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "uid": name, "ownerReferences": [{"uid": owner, "controller": True}]},
        "spec": {"containers": [{"name": "app"}]},
        "status": {"phase": "Pending", "containerStatuses": [state]},
    }


def around(*objects: dict[str, Any]) -> Surroundings:
    surroundings = Surroundings()
    for object in objects:
        list(surroundings.feed("ADDED", object))
    return surroundings


def verdict(item: Item, object: dict[str, Any], surroundings: Surroundings, now: float) -> tuple[str, str]:
    item.object = object
    found = item.judge(surroundings, {}, now, surrounded=True)
    item.message = found.message
    return found.state, found.message


def test_refused_image_fails_when_its_patience_ends() -> None:
    item, surroundings = Item(KEY, 0), around(replica_set("a", "1"), pod("a", "ErrImagePull"))
    states = [
        verdict(item, deployment(0), surroundings, now)[0] for now in (5, 5 + causes.REFUSED - 1, 5 + causes.REFUSED)
    ]
    assert states == ["waiting", "waiting", "failed"]


def test_patience_begins_anew_with_another_cause() -> None:
    item = Item(KEY, 0)
    verdict(item, deployment(0), around(replica_set("a", "1"), pod("a", "ErrImagePull")), 0)
    other = around(replica_set("a", "1"), pod("a", "CreateContainerConfigError"))
    assert verdict(item, deployment(0), other, causes.REFUSED)[0] == "waiting"


def test_pods_of_a_former_revision_are_not_blamed() -> None:
    surroundings = around(replica_set("old", "1"), replica_set("new", "2"), pod("old", "InvalidImageName"))
    assert verdict(Item(KEY, 0), deployment(0, revision="2"), surroundings, 1)[0] == "waiting"


def test_nothing_is_blamed_before_the_controller_has_seen_the_change() -> None:
    surroundings = around(replica_set("a", "1"), pod("a", "InvalidImageName"))
    state = verdict(Item(KEY, 0), deployment(0, generation=2), surroundings, 1)
    assert state == ("waiting", "its controller has not seen the change yet")


def test_what_is_ready_at_the_first_look_is_ready() -> None:
    assert verdict(Item(KEY, 0), deployment(1), around(), 0)[0] == "ready"


def test_what_has_just_started_has_to_stay_up_for_a_moment() -> None:
    item = Item(KEY, 0)
    verdict(item, deployment(0), around(), 0)
    states = [verdict(item, deployment(1), around(), now)[0] for now in (2.0, 2.1, 2.0 + STEADY_SECONDS)]
    assert states == ["waiting", "waiting", "ready"]


def test_what_goes_down_again_has_to_stay_up_anew() -> None:
    item = Item(KEY, 0)
    states = [
        verdict(item, deployment(available), around(), now)[0] for now, available in enumerate((0, 1, 0, 1, 1, 1))
    ]
    assert states == ["waiting", "waiting", "waiting", "waiting", "waiting", "ready"]


@pytest.mark.parametrize("exempt", ["probe", "target", "no pods"])
def test_nothing_is_held_where_readiness_is_told_otherwise(exempt: str) -> None:
    started, ready = deployment(0), deployment(1)
    for object in (started, ready):
        template = object["spec"]["template"]
        match exempt:
            case "probe":
                template["spec"]["containers"][0]["readinessProbe"] = {}
            case "target":
                template["metadata"]["annotations"] = {"innerloop.dev/target": "web=app"}
            case _:
                object["spec"]["replicas"] = 0
    item = Item(KEY, 0)
    item.message = "waits for its controller"
    assert verdict(item, ready, around(), 1)[0] == "ready"


def test_pods_pending_deletion_are_not_blamed() -> None:
    going = pod("a", "InvalidImageName")
    going["metadata"]["deletionTimestamp"] = "2026-11-23T07:57:38Z"
    assert verdict(Item(KEY, 0), deployment(0), around(replica_set("a", "1"), going), 1)[0] == "waiting"


def test_event_changes_the_cause_of_the_pods_owners() -> None:
    surroundings = around(replica_set("a", "1"), pod("a", "ContainerCreating"))
    event = {
        "kind": "Event",
        "metadata": {"uid": "e"},
        "reason": "FailedMount",
        "message": "no such volume",
        "involvedObject": {"uid": "web-1"},
    }
    assert list(surroundings.feed("ADDED", event)) == ["web-1", "a", "deployment"]
    assert "no such volume" in verdict(Item(KEY, 0), deployment(0), surroundings, 0)[1]


def test_blocking_pod_of_a_former_stateful_set_revision_is_told() -> None:
    old = pod("set", "ErrImagePull", "db-0")
    old["metadata"]["labels"] = {"controller-revision-hash": "db-1"}
    object = deployment(0) | {"kind": "StatefulSet"}
    object["metadata"] |= {"uid": "set"}
    object["status"] |= {"updateRevision": "db-2", "currentRevision": "db-1"}
    message = verdict(Item(KEY._replace(kind="StatefulSet"), 0), object, around(old), 0)[1]
    assert "db-0 of the former version has to be ready first: image web:1 cannot be pulled" in message


def test_last_log_line_is_told_with_a_crash() -> None:
    crashed = pod("a", "CrashLoopBackOff")
    status = crashed["status"]["containerStatuses"][0]
    status |= {"restartCount": 2, "lastState": {"terminated": {"exitCode": 3}}}
    item = Item(KEY, 0)
    item.object = deployment(0)
    lines = {("web-1", "app", 2): ["starting", "no database"]}
    found = item.judge(around(replica_set("a", "1"), crashed), lines, 0, surrounded=True)
    assert found.message.endswith("exited with code 3, restarted 2 times: no database")


def test_failure_waits_until_its_cause_can_be_known() -> None:
    item = Item(KEY._replace(kind="Pod"), 0)
    item.object = pod("", "") | {"status": {"phase": "Failed"}}
    assert item.judge(around(), {}, 0, surrounded=False).state == "waiting"
    assert item.judge(around(), {}, 0, surrounded=True).state == "failed"


def test_service_without_an_address_is_accepted_in_the_end() -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "uid": "s"},
        "spec": {"type": "LoadBalancer"},
        "status": {},
    }
    item = Item(ObjectKey("v1", "Service", "shop", "web"), 0)
    states = [verdict(item, service, around(), now)[0] for now in (0, LOAD_BALANCER_SECONDS)]
    assert states == ["waiting", "ready"]
