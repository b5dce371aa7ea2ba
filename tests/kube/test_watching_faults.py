"""Watches while the network and the server fail: no change is lost, none comes twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec
import pytest

from innerloop.kube import objects, watching
from innerloop.kube.access import Secret, Token
from innerloop.kube.client import Client, connect
from innerloop.kube.errors import ConnectionFailed, Forbidden
from innerloop.kube.listing import list_all
from innerloop.manifest import ObjectKey
from tests.kube.loopback import Relay, relayed
from tests.kube.test_watching import config_map, take, told
from tests.kube.test_watching import watching as watching_config_maps
from tests.waiting import until

pytestmark = pytest.mark.cluster


class Line(NamedTuple):
    """A client whose connections all go through a relay."""

    client: Client
    relay: Relay


@pytest.fixture
async def line(client: Client) -> AsyncIterator[Line]:
    async with relayed(client.access) as relay:
        access = msgspec.structs.replace(
            client.access, server=f"https://{relay.host}:{relay.port}", server_name="kubernetes.default.svc"
        )
        async with connect(access) as through:
            yield Line(through, relay)


async def test_a_cut_connection_loses_and_doubles_nothing(client: Client, line: Line, namespace: str) -> None:
    async with watching_config_maps(line.client, namespace) as events:
        await anext(events)
        names = [f"n{number:02}" for number in range(20)]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(create_each(client, namespace, names, line.relay), name="create")
            found = await take(events, len(names))
        await objects.create(client, config_map(namespace, "last"))
        assert [*found, told(await anext(events))] == [("ADDED", name) for name in [*names, "last"]]
    assert line.relay.accepted > 5


async def create_each(client: Client, namespace: str, names: list[str], relay: Relay) -> None:
    for number, name in enumerate(names):
        await objects.create(client, config_map(namespace, name))
        if number % 4 == 0:
            await cut_once(relay)


async def cut_once(relay: Relay) -> None:
    before = relay.accepted
    relay.cut()
    await until(lambda: relay.accepted > before, what="the watch connects again")


async def test_changes_while_nothing_connects_are_told_later(client: Client, line: Line, namespace: str) -> None:
    async with watching_config_maps(line.client, namespace) as events:
        await anext(events)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(take(events, 3), name="watch")
            line.relay.open = False
            line.relay.cut()
            await objects.create(client, config_map(namespace, "a"))
            await objects.patch(client, key(namespace, "a"), {"data": {"x": "1"}})
            await objects.delete(client, key(namespace, "a"))
            before = line.relay.accepted
            await until(lambda: line.relay.accepted > before, what="the watch tries")
            line.relay.open = True
        assert waiting.result() == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_a_stalled_connection_is_noticed_and_replaced(client: Client, line: Line, namespace: str) -> None:
    async with watching_config_maps(line.client, namespace, idle_timeout=1.0) as events:
        await anext(events)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(take(events, 1), name="watch")
            await until(lambda: line.relay.accepted == 1, what="the watch runs")
            line.relay.stall()
            await objects.create(client, config_map(namespace, "a"))
            await until(lambda: line.relay.accepted > 1, what="the watch gives the connection up")
            line.relay.resume()
        assert waiting.result() == [("ADDED", "a")]


async def test_a_slow_connection_is_only_slow(client: Client, line: Line, namespace: str) -> None:
    line.relay.delay = 0.1
    async with watching_config_maps(line.client, namespace, idle_timeout=5) as events:
        await anext(events)
        await objects.create(client, config_map(namespace, "big", data="x" * 500_000))
        assert told(await anext(events)) == ("ADDED", "big")


async def test_a_forgotten_version_is_made_up_for(
    client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kept", "changed", "gone", "replaced"):
        await objects.create(client, config_map(namespace, name))
    lists = 0

    async def listing(*args: Any, **options: Any) -> tuple[list[dict[str, Any]], str]:
        # the first list pretends to be of a revision that every server has forgotten
        nonlocal lists
        items, version = await list_all(*args, **options)
        lists += 1
        if lists == 1:
            await objects.patch(client, key(namespace, "changed"), {"data": {"x": "1"}})
            await objects.delete(client, key(namespace, "gone"))
            await objects.delete(client, key(namespace, "replaced"))
            for name in ("new", "replaced"):
                await objects.create(client, config_map(namespace, name))
        return items, "1" if lists == 1 else version

    monkeypatch.setattr(watching, "list_all", listing)
    async with watching_config_maps(client, namespace) as events:
        assert [name for _, name in await take(events, 5)] == ["changed", "gone", "kept", "replaced", ""]
        assert sorted(await take(events, 5)) == [
            ("ADDED", "new"),
            ("ADDED", "replaced"),
            ("DELETED", "gone"),
            ("DELETED", "replaced"),
            ("MODIFIED", "changed"),
        ]
        await objects.create(client, config_map(namespace, "later"))
        assert told(await anext(events)) == ("ADDED", "later")


async def test_withdrawn_rights_end_the_watch(
    client: Client, line: Line, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "REFUSAL_SECONDS", 0.5)
    token = await token_of(client, namespace)
    access = msgspec.structs.replace(line.client.access, certificate=None, credentials=Token(Secret(token)))
    async with connect(access) as robot, watching_config_maps(robot, namespace) as events:
        await anext(events)
        await objects.delete(client, ObjectKey("rbac.authorization.k8s.io/v1", "RoleBinding", namespace, "robot"))
        await until(lambda: refused(robot, namespace), what="the server knows")
        line.relay.cut()
        with pytest.raises(Forbidden, match="cannot watch"):
            await anext(events)


async def refused(client: Client, namespace: str) -> bool:
    try:
        await list_all(client, "v1", "ConfigMap", namespace=namespace)
    except Forbidden:
        return True
    return False


async def test_the_first_failure_is_the_callers(line: Line, namespace: str) -> None:
    line.relay.open = False
    async with watching_config_maps(line.client, namespace) as events:
        with pytest.raises(ConnectionFailed):
            await anext(events)


def key(namespace: str, name: str) -> ObjectKey:
    return ObjectKey("v1", "ConfigMap", namespace, name)


async def token_of(client: Client, namespace: str) -> str:
    """A token of the new service account ``robot``, who may watch its namespace's config maps."""
    metadata = {"name": "robot", "namespace": namespace}
    rbac = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"]}]
    await objects.create(client, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    await objects.create(client, {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": rules})
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "robot"},
        "subjects": [{"kind": "ServiceAccount", **metadata}],
    }
    await objects.create(client, binding)
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/robot/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    return str((await client.request_json("POST", path, body=request))["status"]["token"])
