"""Purging on the real cluster: exactly what is ours, also after interruptions."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from innerloop.deploy import inventory
from innerloop.deploy.contents import foreign_objects
from innerloop.events import Notice
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.manifest import ObjectKey
from tests.deploy.deployment import SLEEP, Deployment, config_map, deployment, unique
from tests.waiting import until

pytestmark = pytest.mark.cluster

RBAC = "rbac.authorization.k8s.io/v1"
STATEFUL_SET = """---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: app, image: 'busybox:1.36'}]}}
  volumeClaimTemplates:
  - {metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}
"""


def role(name: str) -> str:
    return (
        f"---\n{{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {{name: {name}}}, rules: []}}"
    )


def role_key(name: str) -> ObjectKey:
    return ObjectKey(RBAC, "ClusterRole", "", name)


def namespace_key(shop: Deployment) -> ObjectKey:
    return ObjectKey("v1", "Namespace", "", shop.namespace)


async def test_purge_removes_all_and_the_inventory(shop: Deployment) -> None:
    await shop.apply(config_map("a") + deployment("web", SLEEP))
    purged = await shop.purge()
    assert [key.name for key in purged.deleted] == ["web", "a"]
    assert await inventory.read(shop.client, shop.project, shop.namespace) is None


async def test_pods_are_gone_when_purge_returns(shop: Deployment) -> None:
    await shop.run(deployment("web", SLEEP))
    await shop.purge()
    pods, _ = await objects.list_all(shop.client, "v1", "Pod", namespace=shop.namespace)
    assert pods == []


async def test_purge_twice_finds_nothing(shop: Deployment) -> None:
    await shop.apply(config_map("a"))
    await shop.purge()
    assert (await shop.purge()).summary == "nothing there"


async def test_namespace_that_was_there_stays(shop: Deployment) -> None:
    await shop.apply(config_map("a"))
    await shop.purge()
    assert await shop.exists(namespace_key(shop))


async def test_namespace_that_we_made_goes(own: Deployment) -> None:
    await own.apply(config_map("a"))
    purged = await own.purge()
    assert purged.deleted[-1] == namespace_key(own)
    assert not await own.exists(namespace_key(own))


async def test_namespace_that_we_made_stays_when_others_use_it(own: Deployment) -> None:
    await own.apply(config_map("a"))
    key = {"name": "theirs", "namespace": own.namespace}
    await objects.create(own.client, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": key})
    purged = await own.purge()
    assert [left.why for left in purged.left] == ["it has what we did not put there: ConfigMap/theirs"]
    assert await own.exists(own.key("ConfigMap", "theirs"))


async def test_namespace_made_by_several_at_once_goes_with_the_last(own: Deployment) -> None:
    projects = [Deployment(own.client, own.namespace, own.folder, project=f"p{n}") for n in range(4)]
    async with asyncio.TaskGroup() as group:
        for project in projects:
            group.create_task(project.apply(config_map(project.project)), name=project.project)
    for project in projects:
        await project.purge()
    assert not await own.exists(namespace_key(own))


async def test_two_purges_at_once_both_see_the_namespace_go(own: Deployment) -> None:
    await own.apply(config_map("a"))
    for purged in await asyncio.gather(own.purge(), own.purge()):
        assert purged.left == ()
    assert not await own.exists(namespace_key(own))


async def test_adopted_object_keeps_what_others_set(shop: Deployment) -> None:
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": shop.namespace}}
    await objects.create(shop.client, {**made, "data": {"other": "kept"}}, manager="somebody")
    await shop.apply(config_map("theirs"))
    purged = await shop.purge()
    assert [(left.key.name, left.why) for left in purged.left] == [("theirs", "it was there before")]
    assert (await shop.get("ConfigMap", "theirs"))["data"] == {"other": "kept"}


async def test_what_is_left_is_told(shop: Deployment) -> None:
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": shop.namespace}}
    await objects.create(shop.client, made)
    await shop.apply(config_map("theirs"))
    await shop.purge()
    notices = [event.message for event in shop.events if isinstance(event, Notice)]
    assert notices == ["left ConfigMap/theirs: it was there before"]


async def test_object_that_somebody_made_anew_stays(shop: Deployment) -> None:
    await shop.apply(config_map("a"))
    await objects.delete(shop.client, shop.key("ConfigMap", "a"))
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": shop.namespace}}
    await objects.create(shop.client, made)
    purged = await shop.purge()
    assert "another object of this name" in purged.left[0].why
    assert await shop.exists(shop.key("ConfigMap", "a"))


async def test_stuck_finalizer_is_named_and_the_next_purge_goes_on(shop: Deployment) -> None:
    held = config_map("held").replace("{name: held}", "{name: held, finalizers: [example.com/hold]}")
    await shop.apply(held)
    purged = await shop.purge(timeout=0.5)
    assert purged.left[0].why == "its finalizers have not been served: example.com/hold"
    key = shop.key("ConfigMap", "held")
    await objects.patch(shop.client, key, {"metadata": {"finalizers": None}})
    assert (await shop.purge()).left == ()


async def test_object_that_may_not_be_removed_stays_listed(shop: Deployment, developer: Client) -> None:
    quota = "{apiVersion: v1, kind: ResourceQuota, metadata: {name: q}, spec: {hard: {pods: '9'}}}"
    await shop.apply(quota)
    assert "no right to remove it" in (await shop.purge(client=developer)).left[0].why
    assert len((await shop.purge()).deleted) == 1


async def test_claims_of_a_stateful_set_are_left_and_told(shop: Deployment) -> None:
    await shop.apply(STATEFUL_SET)
    claim = shop.key("PersistentVolumeClaim", "data-db-0")
    await until(lambda: shop.exists(claim))
    purged = await shop.purge()
    assert [(left.key, left.why.partition(";")[0]) for left in purged.left] == [
        (claim, "it holds the data of StatefulSet/db")
    ]


async def test_claims_go_with_a_namespace_of_ours(own: Deployment) -> None:
    await own.apply(STATEFUL_SET)
    claim = own.key("PersistentVolumeClaim", "data-db-0")
    await until(lambda: own.exists(claim))
    purged = await own.purge()
    assert claim in purged.deleted
    assert "with the data of 1 volume claim" in purged.summary


async def test_cluster_wide_object_goes_with_the_last_of_its_projects(shop: Deployment, neighbour: Deployment) -> None:
    name = unique("test-role")
    await shop.apply(role(name))
    await neighbour.apply(role(name))
    first = await shop.purge()
    assert [left.why for left in first.left] == [f"it is part of {neighbour.namespace}.shop too"]
    assert role_key(name) in (await neighbour.purge()).deleted


async def test_cluster_wide_object_that_was_there_stays(shop: Deployment) -> None:
    name = unique("test-role")
    made = {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": name}}
    await objects.create(shop.client, {**made, "rules": []})
    await shop.apply(role(name))
    purged = await shop.purge()
    assert [left.why for left in purged.left] == ["it was there before"]
    await objects.delete(shop.client, role_key(name))


async def test_namespace_deleted_by_hand_leaves_nothing_unlisted(own: Deployment) -> None:
    name = unique("test-role")
    await own.apply(config_map("a") + role(name))
    await objects.delete(own.client, namespace_key(own))
    await objects.wait_deleted(own.client, namespace_key(own), timeout=60)
    assert (await own.purge()).deleted == (role_key(name),)


async def test_cluster_wide_object_is_known_again_after_the_inventory_was_deleted(shop: Deployment) -> None:
    name = unique("test-role")
    await shop.apply(role(name))
    await objects.delete(shop.client, shop.key("ConfigMap", "innerloop-inventory-shop"))
    await shop.apply(role(name))
    assert (await shop.purge()).deleted == (role_key(name),)


SCRIPT = """
import asyncio, os, signal, sys
from pathlib import Path
from innerloop.kube import config, discovery
from innerloop.kube.client import Client, connect
from tests.deploy.deployment import Deployment, config_map, deployment

async def main(kubeconfig, namespace, folder, role, requests):
    async with connect(config.access(config.load([Path(kubeconfig)]))) as client:
        await discovery.resources(client)
        kill_after(int(requests))
        text = "".join(config_map(f"c{n}") + deployment(f"d{n}", "image: x", spec="replicas: 0") for n in range(15))
        await Deployment(client, namespace, Path(folder)).apply(text + role)

def kill_after(requests):
    request, answered = Client.request, 0

    async def counted(*args, **options):
        nonlocal answered
        answer = await request(*args, **options)
        answered += 1
        if answered == requests:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    Client.request = counted

asyncio.run(main(*sys.argv[1:]))
"""


async def killed_apply(shop: Deployment, kubeconfig: Path, role: str, requests: int) -> None:
    """Apply in a process of its own, and kill it when so many requests have been answered."""
    arguments = (str(kubeconfig), shop.namespace, str(shop.folder), role, str(requests))
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    script = await asyncio.create_subprocess_exec(sys.executable, "-c", SCRIPT, *arguments, env=env)
    assert await script.wait() == -signal.SIGKILL


async def test_kill_at_any_moment_of_apply_then_purge_leaves_nothing(shop: Deployment, kubeconfig: Path) -> None:
    name = unique("test-role")
    # 1 and 2 look at the namespace, 3 to 5 at objects; 6 is the intent, then 31 objects, then the result
    for requests in (5, 6, 7, 20, 37):
        await killed_apply(shop, kubeconfig, role(name), requests)
        assert (await shop.purge()).left == ()
        assert await foreign_objects(shop.client, shop.namespace, (), "") == []
        assert not await shop.exists(role_key(name))


async def test_kill_after_the_namespace_was_made_then_purge_leaves_nothing(own: Deployment, kubeconfig: Path) -> None:
    await killed_apply(own, kubeconfig, "", 2)
    await own.purge()
    assert not await own.exists(namespace_key(own))


async def test_killed_apply_in_an_existing_namespace_leaves_nothing(shop: Deployment) -> None:
    """As if killed between the creation of the objects and the result: the intent is all there is."""
    text = config_map("a") + config_map("b")
    await shop.apply(text)
    stored = await inventory.read(shop.client, shop.project, shop.namespace)
    assert stored is not None
    lines = "".join(f"pending - - v1 ConfigMap {shop.namespace} {name}\n" for name in "ab")
    key = shop.key("ConfigMap", "innerloop-inventory-shop")
    await objects.patch(shop.client, key, {"data": {"objects": lines}})
    assert [key.name for key in (await shop.purge()).deleted] == ["a", "b"]


async def test_intent_for_what_somebody_else_then_made_removes_nothing(shop: Deployment) -> None:
    await shop.apply(config_map("a"))
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b", "namespace": shop.namespace}}
    await objects.create(shop.client, made, manager="somebody")
    key = shop.key("ConfigMap", "innerloop-inventory-shop")
    await objects.patch(shop.client, key, {"data": {"objects": f"pending - - v1 ConfigMap {shop.namespace} b\n"}})
    await shop.purge()
    assert await shop.exists(shop.key("ConfigMap", "b"))


async def test_killed_purge_is_resumed(shop: Deployment) -> None:
    await shop.apply(config_map("a") + config_map("b"))
    await objects.delete(shop.client, shop.key("ConfigMap", "a"))
    assert [key.name for key in (await shop.purge()).deleted] == ["b"]
