"""What agents' objects tell of a place that they follow, without a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from innerloop.gitops.agents import applied_by_argocd, applied_by_flux
from innerloop.gitops.agents.following import Followed, followed, same_repository
from innerloop.gitops.agents.verdicts import Follower
from innerloop.gitops.places.layouts import Place

OLD, NEW = "1" * 40, "2" * 40
URL = "https://git.example.com/acme/ops.git"
PLACE = Followed(URL, "main", "main", "stage/shop", "shop")


def kustomization(spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    wanted = {"path": "./stage", "sourceRef": {"kind": "GitRepository", "name": "ops"}}
    metadata = {"name": "apps", "namespace": "flux-system"}
    return {"kind": "Kustomization", "metadata": metadata, "spec": wanted | (spec or {}), "status": status}


def repository(ready: str = "True", **spec: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready, "message": "authentication required"}]
    wanted = {"url": "ssh://git@git.example.com/acme/ops", "ref": {"branch": "main"}}
    metadata = {"name": "ops", "namespace": "flux-system"}
    return {"metadata": metadata, "spec": wanted | spec, "status": {"conditions": conditions}}


def ready(status: str, reason: str = "", message: str = "") -> list[dict[str, str]]:
    return [{"type": "Ready", "status": status, "reason": reason, "message": message}]


def application(spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    wanted = {
        "source": {"repoURL": URL, "targetRevision": "main", "path": "stage/shop"},
        "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"},
        "syncPolicy": {"automated": {}},
    }
    metadata = {"name": "shop", "namespace": "argocd"}
    return {"kind": "Application", "metadata": metadata, "spec": wanted | (spec or {}), "status": status}


def of_flux(one: dict[str, Any], source: dict[str, Any] | None = None, place: Followed = PLACE) -> list[Follower]:
    return applied_by_flux.followers([one], [source or repository()], place)


def of_argocd(one: dict[str, Any], place: Followed = PLACE) -> list[Follower]:
    return applied_by_argocd.followers([one], place)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("git@github.com:Acme/Ops.git", "https://github.com/acme/ops"),
        ("https://alice@dev.azure.com/acme/online%20shop/_git/ops", "git@ssh.dev.azure.com:v3/acme/online%20shop/ops"),
        ("file:///srv/git/ops.git", "/srv/git/ops.git/"),
        ("https://user:token@gitlab.com/a/b/ops.git", "ssh://git@gitlab.com:22/a/b/ops"),
    ],
)
def test_ways_to_one_repository_are_the_same(one: str, other: str) -> None:
    assert same_repository(one, other)


@pytest.mark.parametrize("other", ["https://git.example.com/acme/other", "https://example.com/acme/ops", ""])
def test_other_repositories_are_others(other: str) -> None:
    assert not same_repository(URL, other)


@pytest.mark.parametrize("path", ["./stage", "stage/shop/", "/stage/shop", "./", "", "stage"])
def test_a_kustomization_applies_all_that_is_below_its_path(path: str) -> None:
    assert len(of_flux(kustomization({"path": path}))) == 1


@pytest.mark.parametrize("path", ["./sta", "stage/shop/more", "prod"])
def test_a_kustomization_of_another_path_does_not_follow(path: str) -> None:
    assert of_flux(kustomization({"path": path})) == []


@pytest.mark.parametrize(
    "spec",
    [
        {"ref": {"branch": "other"}},
        {"ref": {"branch": "main", "tag": "v1"}},
        {"ref": None},
        {"url": "https://git.example.com/acme/other"},
    ],
)
def test_a_source_of_something_else_is_not_followed(spec: dict[str, Any]) -> None:
    assert of_flux(kustomization(), repository(**spec)) == []


def test_a_source_by_the_full_name_of_its_branch_is_followed() -> None:
    assert len(of_flux(kustomization(), repository(ref={"name": "refs/heads/main"}))) == 1


def test_a_source_in_another_namespace_is_found() -> None:
    elsewhere = {"kind": "GitRepository", "name": "ops", "namespace": "flux-system"}
    one = kustomization({"sourceRef": elsewhere})
    one["metadata"]["namespace"] = "team"
    assert [found.name for found in of_flux(one)] == ["Kustomization team/apps"]


@pytest.mark.parametrize("revision", [f"main@sha1:{NEW}", f"main/{NEW}", f"feature/x@sha1:{NEW}", f"sha1:{NEW}"])
def test_the_commit_of_a_revision_is_read_in_every_form(revision: str) -> None:
    [found] = of_flux(kustomization(lastAppliedRevision=revision, conditions=ready("True")))
    assert (found.applied, found.attempted) == (NEW, NEW)


def test_flux_tells_health_where_it_waits_for_it() -> None:
    [found] = of_flux(kustomization({"wait": True}, lastAppliedRevision=f"main@sha1:{NEW}", conditions=ready("True")))
    assert found.verdict == "healthy"
    [found] = of_flux(kustomization(lastAppliedRevision=f"main@sha1:{NEW}", conditions=ready("True")))
    assert found.verdict == "applied"


def test_flux_fails_at_the_commit_that_it_attempted() -> None:
    message = (
        "health check failed after 30s: failed early due to stalled resources: [Deployment/shop/web status: 'Failed']"
    )
    status: dict[str, Any] = {"lastAppliedRevision": f"main@sha1:{OLD}", "lastAttemptedRevision": f"main@sha1:{NEW}"}
    [found] = of_flux(kustomization(None, **status, conditions=ready("False", "HealthCheckFailed", message)))
    assert (found.verdict, found.applied, found.attempted, found.object) == ("failed", OLD, NEW, "Deployment/web")
    assert found.message == message


@pytest.mark.parametrize("reason", ["DependencyNotReady", "Progressing", "ArtifactFailed"])
def test_flux_may_only_wait(reason: str) -> None:
    [found] = of_flux(kustomization(conditions=ready("False", reason, "dependency is not ready")))
    assert (found.verdict, found.message) == ("progressing", "dependency is not ready")


def test_a_kustomization_that_was_just_made_is_on_its_way() -> None:
    [found] = of_flux(kustomization())
    assert (found.verdict, found.applied, found.attempted) == ("progressing", "", "")


@pytest.mark.parametrize(
    ("spec", "source", "held"),
    [
        ({"suspend": True}, repository(), "is suspended"),
        ({}, repository(suspend=True), "its GitRepository flux-system/ops is suspended"),
        ({}, repository("False"), "its GitRepository flux-system/ops cannot be read: authentication required"),
    ],
)
def test_why_flux_takes_no_new_commit_is_told(spec: dict[str, Any], source: dict[str, Any], held: str) -> None:
    assert of_flux(kustomization(spec), source)[0].held == held


def test_a_kustomization_for_another_cluster_is_told_to_be_one() -> None:
    assert of_flux(kustomization({"kubeConfig": {"secretRef": {"name": "prod"}}}))[0].elsewhere


@pytest.mark.parametrize("path", ["stage", "prod/shop", "stage/shop/more"])
def test_an_application_reads_one_folder(path: str) -> None:
    assert of_argocd(application({"source": {"repoURL": URL, "path": path}})) == []


def test_an_application_that_recurses_reads_all_that_is_below() -> None:
    source = {"repoURL": URL, "path": "stage", "directory": {"recurse": True}}
    assert len(of_argocd(application({"source": source}))) == 1


@pytest.mark.parametrize(("revision", "count"), [("HEAD", 1), ("", 1), ("refs/heads/main", 1), ("v1", 0), ("other", 0)])
def test_an_application_follows_the_branch(revision: str, count: int) -> None:
    source = {"repoURL": URL, "path": "stage/shop", "targetRevision": revision}
    assert len(of_argocd(application({"source": source}))) == count


def test_the_head_is_the_default_branch_and_no_other() -> None:
    source = {"repoURL": URL, "path": "shop", "targetRevision": "HEAD"}
    place = PLACE._replace(branch="environments/stage", folder="shop")
    assert of_argocd(application({"source": source}), place) == []


def test_of_several_sources_the_revision_of_the_right_one_counts() -> None:
    sources = [{"repoURL": "https://charts.example.com", "chart": "x"}, {"repoURL": URL, "path": "stage/shop"}]
    sync = {"status": "Synced", "revisions": ["1.2.3", NEW]}
    one = application({"source": None, "sources": sources}, sync=sync, health={"status": "Healthy"})
    [found] = of_argocd(one)
    assert (found.applied, found.verdict) == (NEW, "healthy")


def test_what_a_hydrator_writes_is_followed() -> None:
    hydrator = {
        "drySource": {"repoURL": URL, "path": "app", "targetRevision": "main"},
        "syncSource": {"targetBranch": "environments/stage", "path": "shop"},
    }
    one = application({"source": None, "sourceHydrator": hydrator})
    assert len(of_argocd(one, PLACE._replace(branch="environments/stage", folder="shop"))) == 1


def test_what_was_compared_is_not_what_was_applied() -> None:
    one = application(sync={"status": "OutOfSync", "revision": NEW}, history=[{"revision": "0"}, {"revision": OLD}])
    [found] = of_argocd(one)
    assert found.applied == OLD


def test_an_application_that_is_synced_has_what_was_compared() -> None:
    one = application(sync={"status": "Synced", "revision": NEW}, history=[{"revision": OLD}])
    assert of_argocd(one)[0].applied == NEW


@pytest.mark.parametrize("conditions", [[], [{"type": "SyncError", "message": "Failed last sync attempt"}]])
def test_a_failed_sync_is_told_with_the_object_that_failed(conditions: list[dict[str, str]]) -> None:
    resources = [
        {"kind": "Service", "name": "web", "status": "Synced"},
        {"kind": "Deployment", "name": "web", "status": "SyncFailed", "message": "spec.replicas: Invalid value"},
    ]
    state = {
        "phase": "Failed",
        "message": "one or more failed",
        "syncResult": {"revision": NEW, "resources": resources},
    }
    sync = {"status": "OutOfSync", "revision": NEW}
    status: dict[str, Any] = {
        "sync": sync,
        "operationState": state,
        "conditions": conditions,
        "history": [{"revision": OLD}],
    }
    [found] = of_argocd(application(**status))
    assert (found.verdict, found.object, found.message) == ("failed", "Deployment/web", "spec.replicas: Invalid value")
    assert (found.applied, found.attempted) == (OLD, NEW)


def test_manifests_that_cannot_be_read_are_a_failure_at_the_commit_that_was_compared() -> None:
    conditions = [{"type": "ComparisonError", "message": "failed to unmarshal manifest"}]
    sync = {"status": "Unknown", "revision": NEW}
    [found] = of_argocd(application(sync=sync, conditions=conditions, history=[{"revision": OLD}]))
    assert (found.verdict, found.attempted, found.message) == ("failed", NEW, "failed to unmarshal manifest")


@pytest.mark.parametrize(
    ("health", "verdict"),
    [
        ("Healthy", "healthy"),
        ("Degraded", "failed"),
        ("Progressing", "progressing"),
        ("Missing", "progressing"),
        ("Suspended", "progressing"),
        ("Unknown", "applied"),
        (None, "applied"),
    ],
)
def test_the_health_of_what_is_synced_is_the_verdict(health: str | None, verdict: str) -> None:
    one = application(sync={"status": "Synced", "revision": NEW}, health={"status": health})
    assert of_argocd(one)[0].verdict == verdict


def test_a_degraded_object_is_named_with_its_message() -> None:
    ill = {"kind": "Deployment", "name": "web", "health": {"status": "Degraded", "message": "exceeded its deadline"}}
    sync = {"status": "Synced", "revision": NEW}
    [found] = of_argocd(application(sync=sync, health={"status": "Degraded"}, resources=[{"kind": "Service"}, ill]))
    assert (found.object, found.message) == ("Deployment/web", "exceeded its deadline")


def test_a_sync_that_runs_is_progress() -> None:
    state = {"phase": "Running", "message": "waiting for hooks", "operation": {"sync": {"revision": NEW}}}
    [found] = of_argocd(application(sync={"status": "OutOfSync", "revision": NEW}, operationState=state))
    assert (found.verdict, found.attempted, found.message) == ("progressing", NEW, "waiting for hooks")


@pytest.mark.parametrize(
    ("policy", "held"),
    [
        ({}, "is synced by hand only"),
        ({"automated": {"enabled": False}}, "is synced by hand only"),
        ({"automated": {"enabled": None}}, ""),
        ({"automated": {}}, ""),
    ],
)
def test_whether_an_application_syncs_by_itself_is_told(policy: dict[str, Any], held: str) -> None:
    assert of_argocd(application({"syncPolicy": policy}))[0].held == held


def test_an_application_for_another_cluster_is_told_to_be_one() -> None:
    destination = {"server": "https://prod.example.com", "namespace": "shop"}
    assert of_argocd(application({"destination": destination}))[0].elsewhere
    assert not of_argocd(application({"destination": {"name": "in-cluster"}}))[0].elsewhere


def test_one_file_for_all_is_followed_by_its_folder() -> None:
    place = Place("main", "loop/stage/shop", "stage/shop/manifests.yaml", "", "stage/shop/hydrator.metadata")
    assert followed(place, URL, "main", "shop").folder == "stage/shop"
