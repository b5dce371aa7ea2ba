"""What an apply would change, as the real API server foresees it."""

from __future__ import annotations

import pytest

from innerloop.deploy.foreseeing import Foreseen, foresee
from innerloop.gitops.differences.differences import Difference, compare
from innerloop.kube import objects
from innerloop.kube.client import Client
from tests.deploy.deployment import SLEEP, Deployment, config_map, deployment, manifests

pytestmark = pytest.mark.cluster

JOB = """---
apiVersion: batch/v1
kind: Job
metadata: {name: task}
spec:
  suspend: true
  template: {spec: {restartPolicy: Never, containers: [{name: app, image: 'busybox:1.36', command: [%s]}]}}
"""
SECRET = "---\n{apiVersion: v1, kind: Secret, metadata: {name: password}, stringData: {password: %s}}\n"


async def seen(shop: Deployment, text: str) -> Foreseen:
    return await foresee(shop.client, manifests(text), project=shop.project, namespace=shop.namespace)


async def differences(shop: Deployment, text: str) -> list[Difference]:
    found = await seen(shop, text)
    return compare(found.before, found.after)


def told(found: list[Difference]) -> list[tuple[str, str]]:
    return [(one.kind, str(one.key)) for one in found]


async def test_what_was_just_applied_does_not_differ(shop: Deployment) -> None:
    text = config_map("settings") + deployment("web", SLEEP) + SECRET % "hunter2" + JOB % "sleep"
    await shop.apply(text)
    assert await differences(shop, text) == []


async def test_a_field_that_would_change_is_all_that_is_told(shop: Deployment) -> None:
    await shop.apply(deployment("web", SLEEP))
    [found] = await differences(shop, deployment("web", SLEEP.replace("1000", "2000")))
    changed = [line for line in found.text.splitlines() if line[0] in "+-"]
    assert changed == ['-        - "1000"', '+        - "2000"']


async def test_what_was_changed_by_hand_would_be_put_back(shop: Deployment) -> None:
    await shop.apply(config_map("settings"))
    await objects.patch(shop.client, shop.key("ConfigMap", "settings"), {"data": {"key": "2"}}, manager="somebody")
    found = await seen(shop, config_map("settings"))
    assert told(compare(found.before, found.after)) == [("changed", "ConfigMap/settings")]


async def test_a_new_object_is_told_as_its_manifest_and_an_old_one_as_removed(shop: Deployment) -> None:
    await shop.apply(config_map("old"))
    found = await differences(shop, config_map("new"))
    assert told(found) == [("added", "ConfigMap/new"), ("removed", "ConfigMap/old")]
    assert found[0].text.splitlines()[1:4] == ["+apiVersion: v1", "+data:", '+  key: "1"']


async def test_what_was_there_before_the_project_would_not_be_removed(shop: Deployment) -> None:
    await objects.create(
        shop.client,
        {**manifests(config_map("old"))[0].object, "metadata": {"name": "old", "namespace": shop.namespace}},
    )
    await shop.apply(config_map("old", "2") + config_map("other"))
    assert await differences(shop, config_map("other")) == []


async def test_nothing_is_changed_by_looking(shop: Deployment) -> None:
    await shop.apply(config_map("settings"))
    before = await shop.get("ConfigMap", "settings")
    await differences(shop, config_map("settings", "2") + config_map("new"))
    assert await shop.get("ConfigMap", "settings") == before
    assert not await shop.exists(shop.key("ConfigMap", "new"))


async def test_a_project_whose_namespace_is_not_there_is_all_new(own: Deployment) -> None:
    assert told(await differences(own, config_map("settings"))) == [("added", "ConfigMap/settings")]


async def test_fields_of_others_are_told_as_refused_and_shown(shop: Deployment) -> None:
    await shop.apply(deployment("web", SLEEP))
    wanted = {"spec": {"replicas": 3}}
    key = shop.key("Deployment", "web", "apps/v1")
    theirs = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": shop.namespace}}
    await objects.apply(shop.client, theirs | wanted, manager="scaler", force=True)
    found = await seen(shop, deployment("web", SLEEP, spec="replicas: 2"))
    assert [error.message for error in found.refused] == ["Deployment/web has fields that others set"]
    [difference] = compare(found.before, found.after)
    assert "-  replicas: 3\n+  replicas: 2" in difference.text
    assert (await objects.get(shop.client, key))["spec"]["replicas"] == 3


async def test_a_job_that_would_be_made_anew_is_shown_as_changed(shop: Deployment) -> None:
    await shop.apply(JOB % "sleep")
    found = await seen(shop, JOB % "date")
    [difference] = compare(found.before, found.after)
    assert "-        - sleep\n+        - date" in difference.text
    assert found.refused == []


async def test_a_field_that_cannot_change_is_told_as_refused_and_shown(shop: Deployment) -> None:
    await shop.apply(deployment("web", SLEEP))
    found = await seen(shop, deployment("web", SLEEP).replace("app: web", "app: site"))
    assert "cannot be changed once it is there" in found.refused[0].message
    assert "+      app: site" in compare(found.before, found.after)[0].text


async def test_a_secret_that_would_change_shows_no_value(shop: Deployment) -> None:
    await shop.apply(SECRET % "hunter2")
    [difference] = await differences(shop, SECRET % "sesame")
    assert "aHVudGVyMg" not in difference.text and "c2VzYW1l" not in difference.text
    assert '+  password: "*** (after)"' in difference.text


async def test_what_is_shared_with_others_would_not_be_removed(shop: Deployment, neighbour: Deployment) -> None:
    role = (
        f"---\n{{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {{name: {shop.namespace}}}}}\n"
    )
    await shop.apply(role)
    assert told(await differences(shop, "")) == [("removed", f"ClusterRole/{shop.namespace}")]
    await neighbour.apply(role)
    assert await differences(shop, "") == []
    await neighbour.purge()
    await shop.purge()


async def test_kinds_that_a_definition_among_the_manifests_brings_are_new(shop: Deployment, client: Client) -> None:
    text = f"""---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: wheels.{shop.namespace}.example}}
spec:
  group: {shop.namespace}.example
  scope: Namespaced
  names: {{kind: Wheel, plural: wheels}}
  versions: [{{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object}}}}}}]
---
{{apiVersion: {shop.namespace}.example/v1, kind: Wheel, metadata: {{name: front}}}}
"""
    assert [kind for kind, _ in told(await differences(shop, text))] == ["added", "added"]
