"""How far a commit is, by what the real Flux does with it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from innerloop.gitops.progress.progress import Progress
from innerloop.gitops.progress.waiting import NotArrived, wait_for
from tests.e2e.loop_command import loop
from tests.gitops.agents.flux import Flux, kustomization, need, source
from tests.gitops.agents.test_applied import BROKEN
from tests.gitops.git_http import GitServer
from tests.gitops.outer import World

need()
pytestmark = pytest.mark.cluster

NEVER = """---
apiVersion: v1
kind: Pod
metadata: {name: task, namespace: %s}
spec: {containers: [{name: task, image: 'no:image:name'}]}
"""
"""Not healthy for a moment, unlike what crashes."""


@pytest.fixture
async def world(
    flux: Flux, git_server: GitServer, tmp_path: Path, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """With a Kustomization that keeps a namespace as the environment's branch says."""
    for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / ".home" / variable))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    url = f"{git_server.url}/ops.git"
    world = World(tmp_path, namespace=namespace, url=url)
    await flux.create(namespace, source(url), kind="GitRepository")
    yield world
    await flux.delete(namespace)
    await flux.delete(namespace, "GitRepository")


async def follow(world: World, flux: Flux, **more: object) -> None:
    """The Kustomization; before its first promotion there is no folder for it."""
    name = world.project.namespace
    await flux.create(name, kustomization(name, f"./{world.place.manifests}", name, **more))


async def arrived(world: World, commit: str, flux: Flux) -> Progress:
    await flux.reconciled(world.project.namespace, "GitRepository")
    async with world.inquiry(commit, flux.client) as inquiry:
        return await wait_for(inquiry, world.events.append, environment="stage", seconds=90, every=0.3)


@pytest.mark.parametrize("wait", [True, False], ids=["checked by Flux", "checked by us"])
async def test_a_squashed_promotion_becomes_healthy_and_overtakes_the_one_before(
    world: World, flux: Flux, wait: bool
) -> None:
    older, newer = world.commit(), world.commit()
    world.promote(older, title="Birds")
    await follow(world, flux, wait=wait)
    assert (await arrived(world, older, flux)).state == "healthy"
    merged = world.promote(newer, title="Dogs")
    # its source is asked once an hour
    assert (await world.look(newer, flux.client)).state == "merged"
    found = await arrived(world, newer, flux)
    assert (found.state, found.followers[0].applied) == ("healthy", merged)
    before = await world.look(older, flux.client)
    assert (before.state, before.message) == ("overtaken", f"stage has {newer[:7]}, which contains it and is healthy")


async def test_what_the_cluster_refuses_is_told_with_the_object_and_why(world: World, flux: Flux) -> None:
    commit = world.commit()
    world.promote(commit, more=BROKEN % world.project.namespace)
    await follow(world, flux)
    with pytest.raises(NotArrived, match=r"Deployment/\S*web.*`selector` does not match template `labels`"):
        await arrived(world, commit, flux)


@pytest.mark.parametrize("wait", [True, False], ids=["checked by Flux", "checked by us"])
async def test_what_is_applied_and_does_not_become_healthy_has_failed(world: World, flux: Flux, wait: bool) -> None:
    commit = world.commit()
    world.promote(commit, more=NEVER % world.project.namespace)
    await follow(world, flux, wait=wait, timeout="5s")
    with pytest.raises(NotArrived, match=r"Pod/(.*/)?task"):
        await arrived(world, commit, flux)


async def test_a_suspended_kustomization_is_told_as_what_is_waited_for(world: World, flux: Flux) -> None:
    commit = world.commit()
    world.promote(commit)
    await follow(world, flux, suspend=True)
    found = await world.look(commit, flux.client)
    assert (found.state, found.message) == ("merged", f"{found.followers[0].name} is suspended")


async def test_the_command_tells_what_flux_has(
    world: World, flux: Flux, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.delenv("LOOP_CONTEXT", raising=False)
    commit = world.commit()
    world.promote(commit)
    await follow(world, flux, wait=True)
    assert (await arrived(world, commit, flux)).state == "healthy"
    told = await loop("status", "--env", "stage", cwd=world.folder)
    assert told.code == 0, told.stdout + told.stderr
    assert f"shop  {commit[:7]} in stage\n  healthy" in told.stdout
    assert f"Flux: Kustomization {flux.namespace}/{world.project.namespace} has" in told.stdout
