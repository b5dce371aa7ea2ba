"""From the merge to a healthy environment: what agents of a real cluster have written, and what we see ourselves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from innerloop.events import StepDone, StepFailed, StepProgress
from innerloop.gitops.progress.progress import Progress
from innerloop.gitops.progress.waiting import NotArrived, wait_for
from innerloop.kube import config, objects
from innerloop.kube.access import Access, Impersonation
from innerloop.kube.client import Client, connect
from tests.deploy.conftest import user_of
from tests.gitops.agent_kinds import Agents, ensure_kinds
from tests.gitops.outer import World
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("isolated")]


@pytest.fixture
def world(tmp_path: Path, namespace: str) -> World:
    # Flux reads no files
    return World(tmp_path, namespace=namespace, url=f"https://git.example.com/{namespace}.git")


@pytest.fixture
async def agents(client: Client, namespace: str, world: World) -> Agents:
    await ensure_kinds(client)
    return Agents(client, namespace, world.url)


async def make(world: World, agents: Agents, name: str = "web") -> None:
    """The object that the environment's manifests have."""
    metadata = {"name": name, "namespace": agents.namespace}
    await objects.create(agents.client, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


def told(found: Progress) -> tuple[str, str]:
    return found.state, found.message


async def test_a_commit_that_flux_has_not_seen_is_merged(world: World, agents: Agents) -> None:
    older, newer = world.commit(), world.commit()
    before = world.promote(older)
    world.promote(newer, title="Dogs")
    await agents.kustomization("./stage")
    await agents.reconciled(before)
    found = await world.look(newer, agents.client)
    assert told(found) == ("merged", f"Kustomization {agents.namespace}/shop has not applied it yet")


async def test_an_older_commit_is_told_by_what_its_successor_became(world: World, agents: Agents) -> None:
    older, newer = world.commit(), world.commit()
    world.promote(older)
    merged = world.promote(newer, title="Dogs")
    await agents.kustomization("./stage", wait=True)
    await agents.reconciled(merged)
    found = await world.look(older, agents.client)
    assert told(found) == ("overtaken", f"stage has {newer[:7]}, which contains it and is healthy")


async def test_what_flux_has_applied_and_checked_is_healthy(world: World, agents: Agents) -> None:
    commit = world.commit()
    merged = world.promote(commit)
    await agents.kustomization("./stage", wait=True)
    await agents.reconciled(merged)
    found = await world.look(commit, agents.client)
    assert (found.state, found.settled, found.followers[0].applied) == ("healthy", True, merged)


async def test_a_later_commit_of_others_has_it_too(world: World, agents: Agents) -> None:
    commit = world.commit()
    world.promote(commit)
    later = world.remote.commit({"stage/other/x.yaml": "a: 1\n"})
    world.remote.commit({"stage/other/x.yaml": "a: 2\n"})
    await agents.kustomization("./stage", wait=True)
    await agents.reconciled(later)
    assert (await world.look(commit, agents.client)).state == "healthy"


async def test_what_flux_has_applied_without_a_check_is_looked_at(world: World, agents: Agents) -> None:
    commit = world.commit()
    await agents.kustomization("./stage")
    await agents.reconciled(world.promote(commit))
    assert told(await world.look(commit, agents.client)) == ("applied", "ConfigMap/web: is not there")
    await make(world, agents)
    assert (await world.look(commit, agents.client)).state == "healthy"


async def test_what_flux_cannot_bring_to_health_has_failed(world: World, agents: Agents) -> None:
    commit = world.commit()
    before = world.remote.tip() or ""
    merged = world.promote(commit)
    await agents.kustomization("./stage", wait=True)
    message = f"timeout waiting for: [Deployment/{agents.namespace}/web status: 'InProgress']"
    await agents.reconciled(before, attempted=merged, ready="False", message=message)
    found = await world.look(commit, agents.client)
    assert told(found) == ("failed", f"Kustomization {agents.namespace}/shop: Deployment/web: {message}")


async def test_a_failure_of_an_earlier_commit_is_not_that_of_a_later_one(world: World, agents: Agents) -> None:
    broken, mended = world.commit(), world.commit()
    before = world.promote(broken)
    world.promote(mended, title="Dogs")
    await agents.kustomization("./stage", wait=True)
    await agents.reconciled(before, ready="False", message="web is broken")
    assert (await world.look(mended, agents.client)).state == "merged"


async def test_a_suspended_agent_is_why_it_is_not_applied(world: World, agents: Agents) -> None:
    commit = world.commit()
    before = world.remote.tip() or ""
    world.promote(commit)
    await agents.kustomization("./stage", suspend=True)
    await agents.reconciled(before)
    found = await world.look(commit, agents.client)
    assert told(found) == ("merged", f"Kustomization {agents.namespace}/shop is suspended")


async def test_argo_cd_tells_sync_and_health(world: World, agents: Agents) -> None:
    commit = world.commit()
    merged = world.promote(commit)
    await agents.application("stage/shop")
    assert (await world.look(commit, agents.client)).state == "merged"
    await agents.synced(merged, "Progressing")
    assert told(await world.look(commit, agents.client)) == ("applied", "ConfigMap/web: is not there")
    # right after a sync it tells of the health of what was there before
    await agents.synced(merged, "Healthy")
    assert told(await world.look(commit, agents.client)) == ("applied", "ConfigMap/web: is not there")
    await make(world, agents)
    assert (await world.look(commit, agents.client)).state == "healthy"
    await agents.synced(merged, "Degraded")
    assert told(await world.look(commit, agents.client)) == (
        "failed",
        f"Application {agents.namespace}/shop: is Degraded",
    )


async def test_of_two_agents_the_one_that_is_behind_counts(world: World, agents: Agents) -> None:
    commit = world.commit()
    merged = world.promote(commit)
    await agents.application("stage/shop")
    await agents.synced(merged, "Healthy")
    await agents.kustomization("./stage")
    found = await world.look(commit, agents.client)
    assert told(found) == ("merged", f"Kustomization {agents.namespace}/shop has not applied it yet")


async def test_a_cluster_in_which_nothing_follows_is_told(world: World, agents: Agents) -> None:
    commit = world.commit()
    world.promote(commit)
    words = "nothing of Flux or Argo CD in this cluster follows it; is it the environment's cluster?"
    assert told(await world.look(commit, agents.client)) == ("merged", words)


async def test_who_may_not_look_is_told_and_what_is_known_stays(world: World, agents: Agents, kubeconfig: Path) -> None:
    commit = world.commit()
    world.promote(commit)
    access = config.access(config.load([kubeconfig]), impersonate=Impersonation("nobody-of-importance"))
    async with connect(access) as nobody:
        found = await world.look(commit, nobody)
    assert found.state == "merged"
    assert [words.partition(":")[0] for words in found.hidden] == [
        "no right to list Kustomizations of kustomize.toolkit.fluxcd.io",
        "no right to list Applications of argoproj.io",
    ]


async def test_who_may_look_in_the_environments_namespace_sees_its_agents(
    world: World, agents: Agents, kubeconfig: Path
) -> None:
    commit = world.commit()
    merged = world.promote(commit)
    await agents.kustomization("./stage", wait=True)
    await agents.reconciled(merged)
    rules = [
        {
            "apiGroups": ["kustomize.toolkit.fluxcd.io", "source.toolkit.fluxcd.io"],
            "resources": ["*"],
            "verbs": ["list"],
        }
    ]
    metadata = {"name": "looks", "namespace": agents.namespace}
    group = "rbac.authorization.k8s.io"
    await objects.create(
        agents.client, {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": rules}
    )
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "looks"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user_of(agents.namespace)}],
    }
    await objects.create(agents.client, binding)
    access = config.access(config.load([kubeconfig]), impersonate=Impersonation(user_of(agents.namespace)))
    async with connect(access) as developer:
        assert (await world.look(commit, developer)).state == "healthy"


async def test_a_cluster_that_does_not_answer_is_told(world: World, agents: Agents) -> None:
    commit = world.commit()
    world.promote(commit)
    async with connect(Access(server="https://127.0.0.1:9")) as nowhere:
        found = await world.look(commit, nowhere)
    assert found.state == "merged"
    assert found.hidden[0].startswith("the cluster does not tell: ")


async def test_it_is_waited_for_from_the_pull_request_to_health(world: World, agents: Agents) -> None:
    commit = world.commit()
    before = world.remote.tip() or ""
    pull = world.propose(commit)
    await agents.kustomization("./stage", wait=True)
    await agents.reconciled(before)
    states: list[str] = []

    async def changed(progress: Progress) -> None:
        states.append(progress.state)

    async def everybody() -> None:
        await until(lambda: states[-1:] == ["in pull request"], what="the pull request is seen")
        merged = world.merge(pull)
        await until(lambda: states[-1:] == ["merged"], what="the merge is seen")
        await agents.reconciled(before, attempted=merged, ready="Unknown", message="waits for web")
        await until(lambda: len(states) == 3, what="the attempt is seen")
        await agents.reconciled(merged)

    async with world.inquiry(commit, agents.client) as inquiry, asyncio.TaskGroup() as group:
        group.create_task(everybody(), name="everybody else")
        found = await wait_for(
            inquiry, world.events.append, environment="stage", seconds=60, every=0.05, changed=changed
        )
    assert found.state == "healthy"
    assert states == ["in pull request", "merged", "merged", "healthy"]
    progress = [event.message for event in world.events if isinstance(event, StepProgress)]
    assert progress[2] == f"merged: Kustomization {agents.namespace}/shop applies it: waits for web"
    assert [(one.step, one.summary) for one in world.events if isinstance(one, StepDone)] == [("wait/stage", "healthy")]


async def wait(world: World, commit: str, agents: Agents, seconds: float = 30) -> Progress:
    async with world.inquiry(commit, agents.client) as inquiry:
        return await wait_for(inquiry, world.events.append, environment="stage", seconds=seconds, every=0.05)


async def test_waiting_ends_with_a_failure_and_its_cause(world: World, agents: Agents) -> None:
    commit = world.commit()
    merged = world.promote(commit)
    await agents.application("stage/shop")
    await agents.synced(merged, "Degraded")
    with pytest.raises(NotArrived, match=r"stage: failed: .* is Degraded") as caught:
        await wait(world, commit, agents)
    assert caught.value.progress.state == "failed"
    assert [event.step for event in world.events if isinstance(event, StepFailed)] == ["wait/stage"]


async def test_waiting_ends_when_the_pull_request_is_closed(world: World, agents: Agents) -> None:
    commit = world.commit()
    world.forge_side.close(world.propose(commit))
    with pytest.raises(NotArrived, match="its pull request was closed"):
        await wait(world, commit, agents)


async def test_waiting_ends_when_a_newer_commit_overtakes(world: World, agents: Agents) -> None:
    older, newer = world.commit(), world.commit()
    world.promote(newer)
    assert (await wait(world, older, agents)).state == "overtaken"


async def test_waiting_has_an_end(world: World, agents: Agents) -> None:
    commit = world.commit()
    world.propose(commit)
    with pytest.raises(NotArrived, match="stage is not healthy after 0 s: in pull request: http") as caught:
        await wait(world, commit, agents, seconds=0)
    assert caught.value.hint == "it may still come: loop status --env stage"


async def test_waiting_can_be_interrupted(world: World, agents: Agents) -> None:
    commit = world.commit()
    world.propose(commit)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(wait(world, commit, agents), name="wait")
        await until(lambda: any(isinstance(event, StepProgress) for event in world.events))
        waiting.cancel()
    assert waiting.cancelled()
