"""The schema gate and a real API server are of one mind; kinds that only the server has are learned from it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest

from innerloop.gitops.gates import kubernetes, schema
from innerloop.gitops.gates.checking import check
from innerloop.gitops.gates.served import from_cluster
from innerloop.kube import objects, openapi
from innerloop.kube.client import Client
from innerloop.kube.discovery import resource
from innerloop.kube.errors import ApiError
from innerloop.manifest import Manifest
from tests.gitops.gates.rendered import DEPLOYMENT, manifests, project, rendered
from tests.gitops.gates.test_custom_kinds import DEFINITION
from tests.waiting import until

pytestmark = pytest.mark.cluster

FIELDS = {
    "as it should be": "",
    "an unknown field": "imagePulPolicy: Always",
    "a field in the wrong case": "ImagePullPolicy: Always",
    "text for a boolean": "tty: 'true'",
    "a number for text": "workingDir: 5",
    "a boolean for text": "env: [{name: A, value: true}]",
    "text for a number": "securityContext: {runAsUser: '0'}",
    "a fraction for a whole number": "securityContext: {runAsUser: 1.5}",
    "a fraction that is whole": "securityContext: {runAsUser: 1.0}",
    "a mapping for a list": "args: {a: b}",
    "a list for a mapping": "resources: []",
    "a number for a quantity": "resources: {limits: {cpu: 1.5}}",
    "text that is no quantity": "resources: {limits: {memory: 128MB}}",
    "quantities in every notation": "resources: {limits: {cpu: 250m, memory: 1.5Gi, ephemeral-storage: 12e6}}",
    "null for a list": "env: null",
    "null for text": "env: [{name: A, value: null}]",
    "null for a mapping": "resources: null",
    "a name for a port": "readinessProbe: {httpGet: {port: http}}",
    "a number for a port": "readinessProbe: {httpGet: {port: 80}}",
    "a boolean for a port": "readinessProbe: {httpGet: {port: true}}",
    "a missing name": "env: [{value: a}]",
}


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
async def test_the_gate_finds_a_fault_where_the_server_does(client: Client, namespace: str, field: str) -> None:
    (manifest,) = manifests(f"{DEPLOYMENT}          {field}\n")
    manifest.metadata["namespace"] = namespace
    assert _found(manifest) == await _refused(client, manifest)


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: aGk=}\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: 'a$b'}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: 1}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {a: true}}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: null, creationTimestamp: null}\ndata: null\n",
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80, targetPort: http}]}\n",
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: '80'}]}\n",
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\nimagePullSecrets: [{name: b}]\n",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: a}\nrules: null\n",
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: a}\nspec: {}\nstatus: {}\n",
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec: {podSelector: {}}\n",
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec: {podselector: {}}\n",
    ],
)
async def test_of_other_kinds_as_well(client: Client, namespace: str, text: str) -> None:
    (manifest,) = manifests(text)
    manifest.metadata["namespace"] = namespace
    assert _found(manifest) == await _refused(client, manifest)


async def test_every_kind_that_the_server_has_of_its_own_is_known(client: Client) -> None:
    known = kubernetes.known("1.36")
    for api_version in ("v1", "apps/v1", "batch/v1", "networking.k8s.io/v1", "rbac.authorization.k8s.io/v1"):
        for kind in await openapi.schemas(client, api_version):
            served = await resource(client, api_version, kind) if (api_version, kind) in known.kinds else None
            if served:
                assert known.kinds[api_version, kind].namespaced == served.namespaced, kind


@pytest.fixture
async def widget(client: Client) -> AsyncIterator[str]:
    """API version of a kind Widget that the server has."""
    group = f"w{secrets.token_hex(4)}.example.com"
    (definition,) = manifests(DEFINITION.replace("shop.example.com", group))
    await objects.apply(client, definition.object)
    yield f"{group}/v1"
    await objects.delete(client, definition.key)


async def test_a_custom_kind_is_learned_from_the_server(client: Client, widget: str) -> None:
    known = await _learned(client, widget)
    problems = schema.findings(_widgets(widget, size=3, color="blue", colour="red"), kubernetes.known("1.36"), known)
    assert [one.message for one in problems] == [
        "spec.color: must be one of red, green",
        "spec.colour: unknown field",
    ]


async def test_a_good_object_of_a_kind_of_the_server_passes_all_gates(client: Client, widget: str) -> None:
    await _learned(client, widget)
    found = await check(rendered(_widgets(widget, size=3)), project(), emit=lambda _: None, client=client)
    assert found == []


async def test_a_kind_that_the_server_does_not_have_stays_unknown(client: Client) -> None:
    assert await from_cluster(client, [("none.example.com/v1", "Widget")]) == {}


async def test_an_api_version_that_the_server_does_not_have_has_no_schemas(client: Client) -> None:
    assert await openapi.schemas(client, "none.example.com/v1") == {}


def _widgets(api_version: str, **spec: Any) -> list[Manifest]:
    metadata = {"name": "a", "namespace": "shop"}
    return [Manifest({"apiVersion": api_version, "kind": "Widget", "metadata": metadata, "spec": spec}, "a.yaml")]


async def _learned(client: Client, api_version: str) -> Any:
    """The kind, once the server publishes its schema, which it does a little after the definition."""
    wanted = [(api_version, "Widget")]

    async def published() -> Any:
        if not await openapi.schemas(client, api_version):
            return None
        return await from_cluster(client, wanted) or None

    return await until(published)


def _found(manifest: Manifest) -> bool:
    return bool(list(schema.findings([manifest], kubernetes.known("1.36"), {})))


async def _refused(client: Client, manifest: Manifest) -> bool:
    served = await resource(client, manifest.api_version, manifest.kind)
    query = {"dryRun": "All", "fieldValidation": "Strict"}
    try:
        await client.request_json("POST", served.path(manifest.namespace), query=query, body=manifest.object)
    except ApiError:
        return True
    return False
