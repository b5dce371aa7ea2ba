"""Applying on the real cluster."""

from __future__ import annotations

import asyncio

import pytest

from innerloop.deploy.purging import purge
from innerloop.errors import LoopError
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import NotFound
from innerloop.manifest import ObjectKey
from tests.deploy.deployment import SLEEP, Deployment, config_map, deployment, unique
from tests.waiting import until

pytestmark = pytest.mark.cluster

JOB = """---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: app, image: 'busybox:1.36', command: [echo, %s]}]}}}
"""


def crd(group: str) -> str:
    return f"""---
apiVersion: example.test/v1
kind: Widget
metadata: {{name: first}}
spec: {{size: 3}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: widgets.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: Widget, plural: widgets}}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
""".replace("example.test", group)


async def foreign(shop: Deployment, name: str, data: dict[str, str]) -> None:
    """Somebody else makes a ConfigMap."""
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": shop.namespace}}
    await objects.create(shop.client, {**made, "data": data}, manager="somebody")


async def test_objects_are_created_once(shop: Deployment) -> None:
    first = await shop.apply(config_map("a") + config_map("b"))
    second = await shop.apply(config_map("a") + config_map("b"))
    assert (len(first.created), len(second.created), len(second.unchanged)) == (2, 0, 2)


async def test_only_what_differs_counts_as_changed(shop: Deployment) -> None:
    await shop.apply(config_map("a") + config_map("b"))
    applied = await shop.apply(config_map("a", "2") + config_map("b"))
    assert [key.name for key in applied.changed] == ["a"]
    assert applied.summary == "2 objects, 1 changed"


async def test_object_without_namespace_gets_that_of_the_project(shop: Deployment) -> None:
    applied = await shop.apply(config_map("a"))
    assert applied.keys == (ObjectKey("v1", "ConfigMap", shop.namespace, "a"),)


async def test_unknown_kind_is_told_with_its_file_before_anything_changes(own: Deployment) -> None:
    with pytest.raises(LoopError, match=r"2\.yaml: the cluster has no kind Deployment in apps/v1beta1") as caught:
        await own.apply(config_map("a") + "---\n{apiVersion: apps/v1beta1, kind: Deployment, metadata: {name: web}}")
    assert caught.value.hint == "it has Deployment in apps/v1"
    assert not await own.exists(ObjectKey("v1", "Namespace", "", own.namespace))


async def test_two_manifests_for_one_object_are_refused(shop: Deployment) -> None:
    with pytest.raises(LoopError, match=r"2\.yaml: ConfigMap/a comes twice, first in 1\.yaml"):
        await shop.apply(config_map("a") + config_map("a", "2"))


async def test_misspelt_field_is_told(shop: Deployment) -> None:
    with pytest.raises(LoopError, match=r"1\.yaml: Deployment/web has no field \.spec\.replica"):
        await shop.apply(deployment("web", SLEEP, spec="replica: 1"))


async def test_invalid_objects_are_told_with_their_fields(shop: Deployment) -> None:
    with pytest.raises(LoopError, match="2 of 2 objects were refused") as caught:
        await shop.apply(config_map("A") + config_map("_"))
    assert "1.yaml: ConfigMap/A is invalid\n  metadata.name: Invalid value" in (caught.value.detail or "")


async def test_missing_other_namespace_is_told(shop: Deployment) -> None:
    elsewhere = config_map("a").replace("{name: a}", "{name: a, namespace: nowhere-at-all}")
    with pytest.raises(LoopError, match="is for namespace nowhere-at-all, which does not exist"):
        await shop.apply(elsewhere)


async def test_custom_resources_wait_for_their_definition(shop: Deployment) -> None:
    applied = await shop.apply(crd(f"{unique('g')}.test"))
    assert len(applied.created) == 2
    purged = await shop.purge()
    assert [key.kind for key in purged.deleted] == ["Widget", "CustomResourceDefinition"]


async def test_conflict_names_field_and_owner(shop: Deployment) -> None:
    await foreign(shop, "a", {"key": "theirs"})
    with pytest.raises(LoopError, match="ConfigMap/a has fields that others set") as caught:
        await shop.apply(config_map("a"))
    assert caught.value.detail == ".data.key  set by somebody"


async def test_conflict_is_won_by_force(shop: Deployment) -> None:
    await foreign(shop, "a", {"key": "theirs"})
    await shop.apply(config_map("a"), force=True)
    assert (await shop.get("ConfigMap", "a"))["data"] == {"key": "1"}


async def test_fields_of_older_innerloops_are_taken_over(shop: Deployment) -> None:
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": shop.namespace}}
    await objects.create(shop.client, {**made, "data": {"key": "old"}}, manager="innerloop-old")
    await shop.apply(config_map("a"))
    assert (await shop.get("ConfigMap", "a"))["data"] == {"key": "1"}


async def test_immutable_field_is_named(shop: Deployment) -> None:
    await shop.apply(deployment("web", SLEEP, spec="replicas: 0"))
    other = deployment("web", SLEEP, spec="replicas: 0").replace("app: web", "app: other")
    with pytest.raises(LoopError, match=r"Deployment/web: spec\.selector cannot be changed once it is there"):
        await shop.apply(other)


async def test_changed_job_is_replaced(shop: Deployment) -> None:
    await shop.apply(JOB % "one")
    before = await shop.get("Job", "migrate", "batch/v1")
    applied = await shop.apply(JOB % "two")
    after = await shop.get("Job", "migrate", "batch/v1")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert [key.kind for key in applied.created] == ["Job"]


async def test_pod_is_applied_in_a_namespace_that_was_just_made(own: Deployment) -> None:
    pod = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: app, image: 'busybox:1.36'}]}}"
    assert (await own.apply(pod)).namespace_created


async def test_webhook_that_does_not_answer_yet_is_waited_for(shop: Deployment) -> None:
    name = unique("test-hook")
    webhook = {
        "name": "check.example.com",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {"name": "hook", "namespace": shop.namespace}},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": shop.namespace}},
        "objectSelector": {"matchLabels": {"checked": "yes"}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}],
    }
    hook = ObjectKey("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "", name)
    made = {"apiVersion": hook.api_version, "kind": hook.kind, "metadata": {"name": name}, "webhooks": [webhook]}
    await objects.create(shop.client, made)

    async def answer() -> None:
        await until(lambda: any("failed calling webhook" in message for message in shop.progress))
        await objects.delete(shop.client, hook)

    checked = config_map("a").replace("{name: a}", "{name: a, labels: {checked: 'yes'}}")
    applied, _ = await asyncio.gather(shop.apply(checked), answer())
    assert len(applied.created) == 1


async def test_what_is_no_longer_rendered_is_pruned(shop: Deployment) -> None:
    await shop.apply(config_map("a") + config_map("b"))
    applied = await shop.apply(config_map("a"))
    assert [key.name for key in applied.pruned] == ["b"]
    assert not await shop.exists(shop.key("ConfigMap", "b"))


async def test_adopted_object_is_not_pruned_but_loses_our_fields(shop: Deployment) -> None:
    await foreign(shop, "theirs", {"other": "kept"})
    await shop.apply(config_map("theirs"))
    applied = await shop.apply(config_map("a"))
    assert [left.key.name for left in applied.left] == ["theirs"]
    assert (await shop.get("ConfigMap", "theirs"))["data"] == {"other": "kept"}


async def test_nothing_is_pruned_when_an_object_is_refused(shop: Deployment) -> None:
    await shop.apply(config_map("a"))
    with pytest.raises(LoopError):
        await shop.apply(config_map("B"))
    assert await shop.exists(shop.key("ConfigMap", "a"))


async def test_object_deleted_by_hand_is_made_anew_and_stays_ours(shop: Deployment) -> None:
    await shop.apply(config_map("a"))
    await objects.delete(shop.client, shop.key("ConfigMap", "a"))
    assert len((await shop.apply(config_map("a"))).created) == 1
    assert [key.name for key in (await shop.purge()).deleted] == ["a"]


async def test_object_made_anew_by_somebody_else_is_theirs(shop: Deployment) -> None:
    await shop.apply(config_map("a"))
    await objects.delete(shop.client, shop.key("ConfigMap", "a"))
    await foreign(shop, "a", {"other": "kept"})
    await shop.apply(config_map("a"))
    assert (await shop.purge()).deleted == ()
    assert (await shop.get("ConfigMap", "a"))["data"] == {"other": "kept"}


async def test_two_at_once_lose_no_entries(shop: Deployment) -> None:
    names = [f"c{n}" for n in range(8)]
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(shop.apply(config_map(name), prune=False), name=name)
    assert sorted(key.name for key in (await shop.purge()).deleted) == names


async def test_two_that_create_the_same_at_once_both_call_it_ours(shop: Deployment) -> None:
    texts = "".join(config_map(f"c{n}") for n in range(20))
    async with asyncio.TaskGroup() as group:
        for n in range(3):
            group.create_task(shop.apply(texts), name=f"apply {n}")
    assert len((await shop.purge()).deleted) == 20


async def test_namesake_of_another_project_is_refused(shop: Deployment) -> None:
    await shop.apply(config_map("a"))
    (shop.folder / "elsewhere").mkdir()
    namesake = Deployment(shop.client, shop.namespace, shop.folder / "elsewhere")
    with pytest.raises(LoopError, match="has another project that is called shop too") as caught:
        await namesake.apply(config_map("b"))
    assert f":{shop.folder}" in (caught.value.detail or "")


async def test_inventory_can_be_taken_over(shop: Deployment) -> None:
    await shop.apply(config_map("a"))
    (shop.folder / "elsewhere").mkdir()
    moved = Deployment(shop.client, shop.namespace, shop.folder / "elsewhere")
    await moved.apply(config_map("a"), take_over=True)
    with pytest.raises(LoopError, match="called shop too"):
        await shop.apply(config_map("a"))


async def test_object_of_a_neighbour_is_refused(shop: Deployment) -> None:
    await shop.apply(config_map("a"))
    neighbour = Deployment(shop.client, shop.namespace, shop.folder, project="other")
    with pytest.raises(LoopError, match=r"ConfigMap/a is already part of project shop"):
        await neighbour.apply(config_map("a"))


async def test_no_right_to_make_the_namespace_tells_what_to_ask_for(
    own: Deployment, developer: Client, viewer: None
) -> None:
    with pytest.raises(LoopError, match="does not exist, and you have no right to create it") as caught:
        await own.apply(config_map("a"), client=developer)
    assert f"kubectl create namespace {own.namespace}" in (caught.value.hint or "")


async def test_no_rights_in_the_namespace_tells_what_to_ask_for(own: Deployment, developer: Client) -> None:
    with pytest.raises(LoopError, match="no right to keep the inventory") as caught:
        await own.apply(config_map("a"), client=developer)
    assert "--clusterrole=edit" in (caught.value.hint or "")


async def test_developer_with_rights_inside_only_can_apply_and_purge(shop: Deployment, developer: Client) -> None:
    await shop.apply(config_map("a"), client=developer)
    purged = await shop.purge(client=developer)
    assert [key.name for key in purged.deleted] == ["a"]


async def test_kind_that_may_not_be_changed_is_told(shop: Deployment, developer: Client) -> None:
    quota = "{apiVersion: v1, kind: ResourceQuota, metadata: {name: q}, spec: {hard: {pods: '9'}}}"
    with pytest.raises(LoopError, match="no right to apply ResourceQuota/q"):
        await shop.apply(quota, client=developer)


async def test_namespace_that_is_ending_is_awaited_and_made_anew(own: Deployment) -> None:
    await own.apply(config_map("a"))
    await objects.delete(own.client, ObjectKey("v1", "Namespace", "", own.namespace))
    assert (await own.apply(config_map("a"))).namespace_created


async def test_purge_by_a_stranger_of_the_same_name_is_refused(shop: Deployment) -> None:
    await shop.apply(config_map("a"))
    (shop.folder / "elsewhere").mkdir()
    with pytest.raises(LoopError, match="called shop too"):
        await purge(
            shop.client,
            project="shop",
            namespace=shop.namespace,
            folder=shop.folder / "elsewhere",
            emit=shop.events.append,
        )
    with pytest.raises(NotFound):
        await shop.get("ConfigMap", "b")
