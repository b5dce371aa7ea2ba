"""Reading, writing and deleting objects of a real server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from innerloop.kube import listing, objects
from innerloop.kube.client import Client
from innerloop.kube.errors import ApiError, Conflict, FieldConflict, Invalid, NotFound
from innerloop.manifest import ObjectKey

pytestmark = pytest.mark.cluster


def config_map(namespace: str, name: str = "one", **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"test": "yes"}},
        "data": data,
    }


def key(namespace: str, name: str = "one") -> ObjectKey:
    return ObjectKey("v1", "ConfigMap", namespace, name)


async def test_what_was_created_can_be_read(client: Client, namespace: str) -> None:
    await objects.create(client, config_map(namespace, a="1"))
    assert (await objects.get(client, key(namespace)))["data"] == {"a": "1"}


async def test_an_absent_object_is_not_found(client: Client, namespace: str) -> None:
    with pytest.raises(NotFound, match='configmaps "one" not found'):
        await objects.get(client, key(namespace))


async def test_creating_twice_is_a_conflict(client: Client, namespace: str) -> None:
    await objects.create(client, config_map(namespace))
    with pytest.raises(Conflict) as caught:
        await objects.create(client, config_map(namespace))
    assert (caught.value.reason, caught.value.conflicts) == ("AlreadyExists", ())


async def test_an_invalid_object_is_told_with_its_fields(client: Client, namespace: str) -> None:
    broken = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s", "namespace": namespace},
        "spec": {"ports": [{"port": 0}, {"port": 70000}]},
    }
    with pytest.raises(Invalid) as caught:
        await objects.create(client, broken)
    assert "spec.ports[1].port: Invalid value" in (caught.value.detail or "")


async def test_apply_creates_then_changes_only_its_own_fields(client: Client, namespace: str) -> None:
    await objects.apply(client, config_map(namespace, a="1", b="1"), manager="ours")
    await objects.apply(client, config_map(namespace, c="1"), manager="theirs", force=True)
    applied = await objects.apply(client, config_map(namespace, a="2"), manager="ours")
    assert applied["data"] == {"a": "2", "c": "1"}


async def test_fields_of_others_are_conflicts(client: Client, namespace: str) -> None:
    await objects.apply(client, config_map(namespace, a="1", b="1"), manager="helm")
    with pytest.raises(Conflict) as caught:
        await objects.apply(client, config_map(namespace, a="2", b="2"), manager="ours")
    assert set(caught.value.conflicts) == {FieldConflict(".data.a", "helm"), FieldConflict(".data.b", "helm")}


async def test_force_takes_fields_over(client: Client, namespace: str) -> None:
    await objects.apply(client, config_map(namespace, a="1"), manager="helm")
    await objects.apply(client, config_map(namespace, a="2"), manager="ours", force=True)
    assert (await objects.get(client, key(namespace)))["data"] == {"a": "2"}


async def test_a_dry_run_changes_nothing(client: Client, namespace: str) -> None:
    assert (await objects.apply(client, config_map(namespace), manager="ours", dry_run=True))["metadata"]["uid"]
    with pytest.raises(NotFound):
        await objects.get(client, key(namespace))


@pytest.mark.parametrize(
    ("type", "patch"),
    [
        ("merge", {"data": {"a": None, "b": "2"}}),
        ("strategic", {"data": {"a": None, "b": "2"}}),
        ("json", [{"op": "remove", "path": "/data/a"}, {"op": "add", "path": "/data/b", "value": "2"}]),
    ],
)
async def test_patches(client: Client, namespace: str, type: Any, patch: Any) -> None:
    await objects.create(client, config_map(namespace, a="1"))
    assert (await objects.patch(client, key(namespace), patch, type=type))["data"] == {"b": "2"}


async def test_a_subresource_can_be_patched(client: Client, namespace: str) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "q", "namespace": namespace},
        "spec": {"hard": {"pods": "7"}},
    }
    await objects.create(client, claim)
    status = {"status": {"hard": {"pods": "3"}}}
    patched = await objects.patch(
        client, ObjectKey("v1", "ResourceQuota", namespace, "q"), status, subresource="status"
    )
    assert patched["spec"]["hard"]["pods"] == "7"


async def test_listing_filters_and_names_each_kind(client: Client, namespace: str) -> None:
    await objects.create(client, config_map(namespace, "mine"))
    found, version = await objects.list_all(
        client, "v1", "ConfigMap", namespace=namespace, label_selector="test=yes", field_selector="metadata.name=mine"
    )
    assert [(one["apiVersion"], one["kind"], one["metadata"]["name"]) for one in found] == [("v1", "ConfigMap", "mine")]
    assert version.isdigit()


async def test_listing_crosses_pages(client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 3)
    await asyncio.gather(*(objects.create(client, config_map(namespace, f"n{i}")) for i in range(8)))
    found, _ = await objects.list_all(client, "v1", "ConfigMap", namespace=namespace, label_selector="test=yes")
    assert [one["metadata"]["name"] for one in found] == [f"n{i}" for i in range(8)]


async def test_an_empty_namespace_is_that_of_the_context(client: Client) -> None:
    assert client.access.namespace == "default"
    made = await objects.create(client, {**config_map(""), "metadata": {"generateName": "test-"}})
    await objects.delete(client, key("", made["metadata"]["name"]))
    assert made["metadata"]["namespace"] == "default"


async def test_deleting_what_is_absent_is_not_found(client: Client, namespace: str) -> None:
    with pytest.raises(NotFound):
        await objects.delete(client, key(namespace))


async def test_only_the_object_that_was_meant_is_deleted(client: Client, namespace: str) -> None:
    await objects.create(client, config_map(namespace))
    with pytest.raises(Conflict):
        await objects.delete(client, key(namespace), uid="00000000-0000-0000-0000-000000000000")
    await objects.get(client, key(namespace))


async def test_orphans_survive_their_owner(client: Client, namespace: str) -> None:
    owner = await objects.create(client, config_map(namespace, "owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    child = config_map(namespace, "child")
    child["metadata"]["ownerReferences"] = [reference]
    await objects.create(client, child)
    await objects.delete(client, key(namespace, "owner"), propagation="Orphan")
    await objects.wait_deleted(client, key(namespace, "owner"), timeout=20)
    assert "ownerReferences" not in (await objects.get(client, key(namespace, "child")))["metadata"]


async def test_waiting_for_what_is_gone_ends_at_once(client: Client, namespace: str) -> None:
    await objects.wait_deleted(client, key(namespace), timeout=5)


async def test_waiting_ends_when_the_last_finalizer_does(client: Client, namespace: str) -> None:
    held = config_map(namespace)
    held["metadata"]["finalizers"] = ["innerloop.dev/test"]
    made = await objects.create(client, held)
    await objects.delete(client, key(namespace))
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(
            objects.wait_deleted(client, key(namespace), uid=made["metadata"]["uid"], timeout=20), name="wait"
        )
        await objects.get(client, key(namespace))
        early = waiting.done()
        await objects.patch(client, key(namespace), {"metadata": {"finalizers": None}})
    assert not early


async def test_waiting_in_vain_tells_what_holds_the_object(client: Client, namespace: str) -> None:
    held = config_map(namespace)
    held["metadata"]["finalizers"] = ["innerloop.dev/test"]
    await objects.create(client, held)
    await objects.delete(client, key(namespace))
    with pytest.raises(objects.StillThere, match=r"ConfigMap/one in .* is still there after 0.2 s") as caught:
        await objects.wait_deleted(client, key(namespace), timeout=0.2)
    await objects.patch(client, key(namespace), {"metadata": {"finalizers": None}})
    assert "innerloop.dev/test" in (caught.value.detail or "")


async def test_another_object_of_the_name_is_not_waited_for(client: Client, namespace: str) -> None:
    await objects.create(client, config_map(namespace))
    await objects.wait_deleted(client, key(namespace), uid="00000000-0000-0000-0000-000000000000", timeout=5)


async def test_a_field_that_does_not_exist_is_told(client: Client, namespace: str) -> None:
    with pytest.raises(ApiError, match="field not declared in schema"):
        await objects.apply(client, {**config_map(namespace), "dat": {}}, manager="ours")
