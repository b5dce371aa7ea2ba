"""How far a commit is, by what the real Argo CD does with it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from innerloop.gitops.progress.progress import Progress
from innerloop.gitops.progress.waiting import NotArrived, wait_for
from innerloop.kube import objects
from innerloop.kube.errors import NotFound
from tests.gitops.agents.argocd import HERE, ArgoCD
from tests.gitops.outer import World

pytestmark = [
    pytest.mark.cluster,
    # the controllers may have to be compiled first
    pytest.mark.timeout(900),
]

BROKEN = """---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: %s}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: another}}
    spec: {containers: [{name: web, image: 'busybox:1.36'}]}
"""
CRASHING = """---
apiVersion: v1
kind: Pod
metadata: {name: task, namespace: %s}
spec: {restartPolicy: Never, containers: [{name: task, image: 'busybox:1.36', command: ['false']}]}
"""


@pytest.fixture
async def world(argo: ArgoCD, tmp_path: Path, namespace: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """With an Application that keeps a namespace as the environment's branch says."""
    for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / ".home" / variable))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    world = World(tmp_path, namespace=namespace)
    # a path that is not there yet would be looked at again after minutes only
    world.promote(world.commit())
    source = {"repoURL": world.remote.url, "path": world.place.manifests, "targetRevision": "main"}
    spec = {
        "project": "default",
        "source": source,
        "destination": {"server": HERE, "namespace": namespace},
        # unless told not to, it tries for minutes before it calls a sync failed
        "syncPolicy": {"automated": {"prune": True}, "retry": {"limit": 0}},
    }
    await argo.create(namespace, spec)
    yield world
    with suppress(NotFound):
        await objects.delete(argo.client, argo.key(namespace))


async def arrived(world: World, commit: str, argo: ArgoCD) -> Progress:
    # it remembers for three minutes which commit a branch has
    await argo.refresh(world.project.namespace)
    async with world.inquiry(commit, argo.client) as inquiry:
        return await wait_for(inquiry, world.events.append, environment="stage", seconds=90, every=0.3)


async def test_a_squashed_promotion_becomes_healthy_and_overtakes_the_one_before(world: World, argo: ArgoCD) -> None:
    older, newer = world.commit(), world.commit()
    world.promote(older, title="Birds")
    assert (await arrived(world, older, argo)).state == "healthy"
    merged = world.promote(newer, title="Dogs")
    found = await arrived(world, newer, argo)
    assert (found.state, found.followers[0].applied) == ("healthy", merged)
    before = await world.look(older, argo.client)
    assert (before.state, before.message) == ("overtaken", f"stage has {newer[:7]}, which contains it and is healthy")


async def test_what_the_cluster_refuses_is_told_with_the_object_and_why(world: World, argo: ArgoCD) -> None:
    commit = world.commit()
    world.promote(commit, more=BROKEN % world.project.namespace)
    with pytest.raises(NotArrived, match=r"Deployment/web: .*`selector` does not match template `labels`"):
        await arrived(world, commit, argo)


async def test_what_is_applied_and_does_not_become_healthy_has_failed(world: World, argo: ArgoCD) -> None:
    commit = world.commit()
    world.promote(commit, more=CRASHING % world.project.namespace)
    with pytest.raises(NotArrived) as caught:
        await arrived(world, commit, argo)
    assert caught.value.progress.state == "failed"
    assert caught.value.progress.followers[0].verdict in ("failed", "progressing")
