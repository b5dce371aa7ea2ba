"""Logs of real containers."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import msgspec
import pytest
from aiohttp import web

from innerloop.kube import objects
from innerloop.kube.client import Client, connect
from innerloop.kube.errors import ConnectionFailed, Invalid, NotFound
from innerloop.kube.logs import follow
from innerloop.manifest import ObjectKey
from tests.kube.loopback import client_of, relayed
from tests.kube.pods import container, pod
from tests.waiting import until

pytestmark = pytest.mark.cluster

WRITES_AND_ENDS = "echo one; echo two; printf three"
WRITES_AND_STAYS = "echo one; echo two; trap exit TERM; sleep 600 & wait"
CRASHES_ONCE = (
    "if mkdir /state/ran 2>/dev/null; then echo first; exit 1; fi; echo second; trap exit TERM; sleep 600 & wait"
)


async def run(client: Client, namespace: str, script: str) -> None:
    """A pod ``p`` with one container ``c`` that runs ``script``."""
    written = container("c", ["sh", "-c", script], volumeMounts=[{"name": "state", "mountPath": "/state"}])
    volumes = [{"name": "state", "emptyDir": {}}]
    await objects.create(client, pod(namespace, "p", [written], volumes=volumes, restartPolicy="OnFailure"))


async def lines(client: Client, namespace: str, **options: Any) -> list[bytes]:
    options = {"follow": False, "timestamps": False} | options
    return [line async for line in follow(client, namespace, "p", "c", **options)]


async def written(client: Client, namespace: str, last: bytes, **options: Any) -> list[bytes]:
    """The log once its last line is ``last``."""

    async def complete() -> list[bytes] | None:
        try:
            found = await lines(client, namespace, **options)
        except Invalid:
            return None
        return found if found[-1:] == [last] else None

    return await until(complete, timeout=60, every=0.1, what=f"the container wrote {last!r}") or []


async def test_a_log_ends_with_its_container(client: Client, namespace: str) -> None:
    await run(client, namespace, WRITES_AND_ENDS)
    await written(client, namespace, b"three")
    async with asyncio.timeout(20):
        assert await lines(client, namespace, follow=True) == [b"one", b"two", b"three"]


async def test_what_is_asked_for_is_given(client: Client, namespace: str) -> None:
    await run(client, namespace, WRITES_AND_STAYS)
    await written(client, namespace, b"two")
    assert await lines(client, namespace, tail=1) == [b"two"]
    assert await lines(client, namespace, since_seconds=3600) == [b"one", b"two"]
    assert await lines(client, namespace, since_time="2100-01-01T00:00:00Z") == []
    stamped = await lines(client, namespace, timestamps=True)
    assert [line.split(b" ", 1)[1] for line in stamped] == [b"one", b"two"]
    assert stamped[0].startswith(b"20")


async def test_new_lines_are_followed_and_a_cut_is_told(client: Client, namespace: str) -> None:
    await run(client, namespace, WRITES_AND_STAYS)
    await written(client, namespace, b"two")
    async with relayed(client.access) as relay:
        access = msgspec.structs.replace(
            client.access, server=f"https://{relay.host}:{relay.port}", server_name="kubernetes.default.svc"
        )
        async with connect(access) as through, aclosing(follow(through, namespace, "p", "c")) as following:
            await anext(following)
            await anext(following)
            relay.cut()
            with pytest.raises(ConnectionFailed, match="broke off"):
                await anext(following)


async def test_the_instance_before_a_restart_can_be_read(client: Client, namespace: str) -> None:
    await run(client, namespace, CRASHES_ONCE)
    assert await written(client, namespace, b"second") == [b"second"]
    assert await lines(client, namespace, previous=True) == [b"first"]


async def test_there_may_be_no_instance_before(client: Client, namespace: str) -> None:
    await run(client, namespace, WRITES_AND_STAYS)
    await written(client, namespace, b"two")
    with pytest.raises(Invalid, match="previous terminated container"):
        await lines(client, namespace, previous=True)


async def test_a_container_that_does_not_exist_is_told(client: Client, namespace: str) -> None:
    await run(client, namespace, WRITES_AND_STAYS)
    with pytest.raises(Invalid, match="container absent is not valid for pod p"):
        await anext(follow(client, namespace, "p", "absent"))


async def test_a_pod_that_does_not_exist_is_told(client: Client, namespace: str) -> None:
    with pytest.raises(NotFound, match='pods "p" not found'):
        await lines(client, namespace)


async def test_a_pod_that_its_node_has_not_heard_of_is_not_missing() -> None:
    # seen now and then within the first milliseconds after scheduling
    details = {"name": "p", "kind": "pods/log", "causes": [{"reason": "UnexpectedServerResponse"}]}
    resources = [{"name": "pods", "kind": "Pod", "namespaced": True, "verbs": ["get"]}]

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path in ("/api", "/api/v1"):
            answer = {"kind": "APIVersions", "versions": ["v1"], "groupVersion": "v1", "resources": resources}
            return web.json_response(answer)
        return web.json_response({"kind": "Status", "reason": "NotFound", "details": details}, status=404)

    async with client_of(handle) as client:
        with pytest.raises(Invalid, match="not heard of the pod yet"):
            await lines(client, "n")


async def test_a_deleted_pod_ends_its_log(client: Client, namespace: str) -> None:
    await run(client, namespace, WRITES_AND_STAYS)
    await written(client, namespace, b"two")
    async with aclosing(follow(client, namespace, "p", "c")) as following, asyncio.timeout(60):
        await anext(following)
        await anext(following)
        await objects.delete(client, ObjectKey("v1", "Pod", namespace, "p"))
        assert [line async for line in following] == []
