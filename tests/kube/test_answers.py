"""What a client sends, and what it makes of the answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from innerloop.kube.access import Access, Basic, Impersonation, Secret
from innerloop.kube.client import connect
from innerloop.kube.errors import (
    ApiError,
    Conflict,
    ConnectionFailed,
    FieldConflict,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    NotFound,
    ServerError,
    TooManyRequests,
    Unauthorized,
)
from tests.kube.loopback import Handler, client_of, serving


def answering(body: str, status: int = 200, **headers: str) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(text=body, status=status, headers=headers)

    return handle


async def headers_sent(**access: Any) -> dict[str, list[str]]:
    sent: dict[str, list[str]] = {}

    async def handle(request: web.Request) -> web.StreamResponse:
        sent.update({name.lower(): request.headers.getall(name) for name in request.headers})
        return web.json_response({})

    async with client_of(handle, **access) as client:
        await client.request_json("GET", "/x")
    return sent


async def test_basic_credentials_are_sent() -> None:
    sent = await headers_sent(credentials=Basic("ann", Secret("pass:word")))
    assert sent["authorization"] == ["Basic YW5uOnBhc3M6d29yZA=="]


async def test_impersonation_is_sent() -> None:
    sent = await headers_sent(impersonate=Impersonation("ann", ("a", "b"), "7", {"example.com/why": ("x", "y")}))
    assert {name: values for name, values in sent.items() if name.startswith("impersonate")} == {
        "impersonate-user": ["ann"],
        "impersonate-uid": ["7"],
        "impersonate-group": ["a", "b"],
        "impersonate-extra-example.com%2fwhy": ["x", "y"],
    }


@pytest.mark.parametrize(("compress", "encoding"), [(True, "gzip"), (False, "identity")])
async def test_compression_is_asked_for_unless_told_otherwise(compress: bool, encoding: str) -> None:
    assert (await headers_sent(compress=compress))["accept-encoding"] == [encoding]


async def test_queries_are_encoded() -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.json_response(dict(request.query))

    query: dict[str, str | int | bool] = {"labelSelector": "app=x,env in (a, b+c)", "force": True, "limit": 5}
    async with client_of(handle) as client:
        answer = await client.request_json("GET", "/x", query=query)
    assert answer == {"labelSelector": "app=x,env in (a, b+c)", "force": "true", "limit": "5"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (405, ApiError),
        (409, Conflict),
        (410, Gone),
        (422, Invalid),
        (429, TooManyRequests),
        (500, ServerError),
    ],
)
async def test_a_status_is_an_error_of_its_kind(status: int, kind: type[ApiError]) -> None:
    async with client_of(answering("{}", status)) as client:
        with pytest.raises(ApiError) as caught:
            await client.request_json("GET", "/x", timeout=0.1)
    assert type(caught.value) is kind


async def test_a_status_object_gives_message_reason_and_causes() -> None:
    body = (
        '{"kind": "Status", "message": "two conflicts", "reason": "Conflict", "details": {"causes": ['
        '{"reason": "FieldManagerConflict", "message": "conflict with \\"helm\\" using apps/v1", "field": ".a"},'
        '{"reason": "FieldManagerConflict", "field": ".b",'
        ' "message": "conflict with \\"hpa\\" with subresource \\"scale\\" using apps/v1"}]}}'
    )
    async with client_of(answering(body, 409)) as client:
        with pytest.raises(Conflict, match="two conflicts") as caught:
            await client.request_json("GET", "/x")
    assert caught.value.reason == "Conflict"
    assert caught.value.conflicts == (FieldConflict(".a", "helm"), FieldConflict(".b", "hpa"))
    assert '.b: conflict with "hpa"' in (caught.value.detail or "")


async def test_a_page_of_a_load_balancer_is_summed_up() -> None:
    async with client_of(answering("<html>bad gateway\n" * 100, 502)) as client:
        with pytest.raises(ServerError, match=r"answered 502: <html>bad gateway$"):
            await client.request_json("POST", "/x")


async def test_a_server_of_another_kind_is_recognised() -> None:
    async with client_of(answering("<html>hello")) as client:
        with pytest.raises(ConnectionFailed, match="does not answer as a Kubernetes API server does"):
            await client.request_json("GET", "/x")


async def test_a_redirect_is_not_followed() -> None:
    async with client_of(answering("", 302, Location="http://127.0.0.1:1/")) as client:
        with pytest.raises(ApiError) as caught:
            await client.request_json("GET", "/x")
    assert caught.value.status == 302


async def test_each_warning_is_reported_once() -> None:
    warnings: list[str] = []
    handler = answering("{}", Warning='299 - "unknown field \\"spec.x\\""')
    async with serving(handler) as server, connect(Access(server=server), on_warning=warnings.append) as client:
        await client.request_json("GET", "/x")
        await client.request_json("GET", "/x")
    assert warnings == ['unknown field "spec.x"']


async def test_a_stream_that_is_cut_is_not_mistaken_for_its_end() -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with client_of(handle) as client, client.open_stream("/x") as stream:
        with pytest.raises(ConnectionFailed, match="broke off"):
            async for _ in stream.chunks:
                pass


async def test_a_silent_stream_is_given_up_after_its_idle_timeout() -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(60)
        return response

    async with client_of(handle) as client, client.open_stream("/x", idle_timeout=0.2) as stream:
        with pytest.raises(ConnectionFailed, match="gives no answer"):
            async for _ in stream.chunks:
                pass


async def test_a_websocket_that_is_refused_tells_the_servers_reason() -> None:
    body = '{"kind": "Status", "message": "no such pod", "reason": "NotFound"}'
    async with client_of(answering(body, 404)) as client:
        with pytest.raises(NotFound, match="no such pod"):
            async with client.open_websocket("/x"):
                pass


async def test_a_server_without_websockets_is_told() -> None:
    async with client_of(answering("hello")) as client:
        with pytest.raises(KubeError, match="did not open a WebSocket"):
            async with client.open_websocket("/x"):
                pass
