"""Finding resources: aggregated or not, custom ones, unknown ones."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from innerloop.kube import discovery, objects
from innerloop.kube.client import Client, connect
from innerloop.kube.errors import UnknownKind
from innerloop.manifest import ObjectKey
from tests.kube.loopback import client_of
from tests.waiting import until

DEFINITION = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")


@pytest.fixture
async def fresh(client: Client) -> AsyncIterator[Client]:
    """A client that knows nothing of its server yet."""
    async with connect(client.access) as connected:
        yield connected


@pytest.fixture
async def custom_kind(client: Client) -> AsyncIterator[tuple[str, str]]:
    """API version and kind of a new custom resource."""
    group = f"{secrets.token_hex(3)}.innerloop.test"
    key = ObjectKey(*DEFINITION, "", f"widgets.{group}")
    await discovery.resources(client)
    await objects.create(client, definition(group))
    try:
        await until(lambda: established(client, key), what="the custom resource is served")
        yield f"{group}/v1", "Widget"
    finally:
        await objects.delete(client, key)


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("api_version", "kind", "path"),
    [
        ("v1", "Pod", "/api/v1/namespaces/n/pods/x/log"),
        ("v1", "Namespace", "/api/v1/namespaces/x/log"),
        ("apps/v1", "Deployment", "/apis/apps/v1/namespaces/n/deployments/x/log"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole", "/apis/rbac.authorization.k8s.io/v1/clusterroles/x/log"),
    ],
)
async def test_a_resource_has_its_path(client: Client, api_version: str, kind: str, path: str) -> None:
    found = await discovery.resource(client, api_version, kind)
    assert found.path("n", "x", "log") == path


@pytest.mark.cluster
async def test_the_older_way_finds_the_same(client: Client) -> None:
    older: discovery.Index = {}
    for root in discovery.ROOTS:
        older |= await discovery.unaggregated(client, await client.request_json("GET", root))
    assert _kubernetes_own(older) == _kubernetes_own(await discovery.resources(client))


def _kubernetes_own(index: discovery.Index) -> discovery.Index:
    """Without the kinds that other tests make and remove meanwhile."""
    return {key: found for key, found in index.items() if "." not in found.group or found.group.endswith(".k8s.io")}


@pytest.mark.cluster
async def test_a_new_kind_is_found_without_a_new_client(client: Client, custom_kind: tuple[str, str]) -> None:
    # the session's client asked its server before the kind came
    found = await until(lambda: served(client, custom_kind), what="the kind is discovered")
    assert found is not None
    assert (found.plural, found.namespaced) == ("widgets", True)


@pytest.mark.cluster
async def test_many_objects_of_a_new_kind_ask_once(fresh: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    request = fresh.request

    async def counted(method: str, path: str, **options: str) -> bytes:
        asked.append(path)
        return await request(method, path, **options)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(fresh, "request", counted)
    await asyncio.gather(*(discovery.resource(fresh, "apps/v1", "Deployment") for _ in range(10)))
    assert asked == ["/apis"]


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("api_version", "kind", "hint"),
    [
        ("apps/v1", "Deploymnet", "did you mean Deployment?"),
        ("extensions/v1beta1", "Ingress", "it has Ingress in networking.k8s.io/v1"),
        ("example.com/v1", "Flurb", "install the operator or the CustomResourceDefinition that brings it"),
    ],
)
async def test_an_unknown_kind_gets_a_suggestion(client: Client, api_version: str, kind: str, hint: str) -> None:
    with pytest.raises(UnknownKind, match=f"no kind {kind} in {api_version}") as caught:
        await discovery.resource(client, api_version, kind)
    assert caught.value.hint == hint


async def test_an_api_that_is_down_does_not_hide_the_others() -> None:
    answers = {
        "/apis": {
            "kind": "APIGroupList",
            "groups": [{"versions": [{"groupVersion": "metrics/v1"}]}, {"versions": [{"groupVersion": "apps/v1"}]}],
        },
        "/apis/apps/v1": {
            "groupVersion": "apps/v1",
            "resources": [{"name": "deployments", "kind": "Deployment", "namespaced": True, "verbs": ["get"]}],
        },
    }

    async def handle(request: web.Request) -> web.StreamResponse:
        answer = answers.get(request.path)
        return web.json_response(answer) if answer else web.Response(status=500)

    async with client_of(handle) as client:
        assert (await discovery.resource(client, "apps/v1", "Deployment")).plural == "deployments"


async def served(client: Client, kind: tuple[str, str]) -> discovery.Resource | None:
    try:
        return await discovery.resource(client, *kind)
    except UnknownKind:
        return None


async def established(client: Client, key: ObjectKey) -> bool:
    status = (await objects.get(client, key)).get("status") or {}
    return any(one["type"] == "Established" and one["status"] == "True" for one in status.get("conditions") or [])


def definition(group: str) -> dict[str, object]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": DEFINITION[0],
        "kind": DEFINITION[1],
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
