"""A listing that takes longer than the server remembers."""

from __future__ import annotations

from aiohttp import web

from innerloop.kube.listing import list_all
from tests.kube.loopback import client_of

RESOURCES = {
    "groupVersion": "v1",
    "resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True, "verbs": ["list"]}],
}


async def test_an_expired_continue_token_starts_over_in_one_piece() -> None:
    asked: list[dict[str, str]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path in ("/api", "/api/v1"):
            return web.json_response({"kind": "APIVersions", "versions": ["v1"]} | RESOURCES)
        asked.append(dict(request.query))
        if "continue" in request.query:
            return web.json_response({"kind": "Status", "reason": "Expired"}, status=410)
        more = {"continue": "token"} if "limit" in request.query else {}
        items = [{"metadata": {"name": "a"}}] + ([] if more else [{"metadata": {"name": "b"}}])
        return web.json_response({"metadata": {"resourceVersion": "7", **more}, "items": items})

    async with client_of(handle) as client:
        items, version = await list_all(client, "v1", "ConfigMap", namespace="n")
    assert ([item["metadata"]["name"] for item in items], version) == (["a", "b"], "7")
    assert asked == [{"limit": "500"}, {"limit": "500", "continue": "token"}, {}]
