"""Finding the pods of what was rendered."""

from __future__ import annotations

from typing import Any

from innerloop.engine.workloads import format_selector, workloads
from innerloop.manifest import Manifest


def deployment(**annotations: str) -> Manifest:
    return Manifest(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {
                "selector": {"matchLabels": {"tier": "front", "app": "web"}},
                "template": {"metadata": {"annotations": annotations}, "spec": {"containers": []}},
            },
        }
    )


def test_a_deployment_is_found_by_its_selector() -> None:
    assert [w.selector for w in workloads([deployment()], "mine")] == ["app=web,tier=front"]


def test_the_overlays_annotation_names_the_targets() -> None:
    manifest = deployment(**{"innerloop.dev/target": "web=app,worker=jobs,web=side"})
    assert workloads([manifest], "mine")[0].targets == ("web", "worker")


def test_a_job_is_found_by_the_label_of_its_controller() -> None:
    spec: dict[str, Any] = {"template": {"spec": {"containers": []}}}
    job = Manifest({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "seed"}, "spec": spec})
    assert workloads([job], "mine")[0].selector == "batch.kubernetes.io/job-name=seed"


def test_objects_without_pods_are_no_workloads() -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}},
    }
    assert workloads([Manifest(service)], "mine") == []


def test_match_expressions_take_the_apis_form() -> None:
    expressions = [
        {"key": "app", "operator": "In", "values": ["web", "api"]},
        {"key": "canary", "operator": "DoesNotExist"},
        {"key": "team", "operator": "Exists"},
        {"key": "tier", "operator": "NotIn", "values": ["back"]},
    ]
    assert format_selector({"matchExpressions": expressions}) == "app in (web,api),!canary,team,tier notin (back)"
