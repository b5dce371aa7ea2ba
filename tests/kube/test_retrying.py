"""When a request is sent again, when not, and what comes of it."""

from __future__ import annotations

import asyncio
import itertools
import socket
from pathlib import Path

import pytest
from aiohttp import web

from innerloop.kube.access import Access, TokenFile
from innerloop.kube.client import connect
from innerloop.kube.errors import ConnectionFailed, ServerError, TooManyRequests, Unauthorized
from tests.kube.loopback import client_of


class Answers:
    """A server that gives one answer after the other, then the last for ever. None breaks the connection."""

    def __init__(self, *answers: web.Response | None) -> None:
        self.answers = list(answers)
        self.times: list[float] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.times.append(asyncio.get_running_loop().time())
        answer = self.answers.pop(0) if self.answers else web.json_response({"ok": True})
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return answer

    @property
    def pauses(self) -> list[float]:
        return [later - earlier for earlier, later in itertools.pairwise(self.times)]


def busy(status: int, retry_after: str | None = None) -> web.Response:
    return web.Response(status=status, headers={"Retry-After": retry_after} if retry_after else {})


@pytest.mark.parametrize(("method", "status"), [("GET", 429), ("POST", 503), ("PATCH", 500)])
async def test_the_servers_retry_after_is_honoured(method: str, status: int) -> None:
    server = Answers(busy(status, "1"))
    async with client_of(server.handle) as client:
        assert await client.request_json(method, "/x", body={}) == {"ok": True}
    assert 1 <= server.pauses[0] < 2


async def test_retry_after_may_stand_in_the_status_object() -> None:
    details = {"kind": "Status", "details": {"retryAfterSeconds": 1}}
    server = Answers(web.json_response(details, status=429))
    async with client_of(server.handle) as client:
        await client.request_json("GET", "/x")
    assert server.pauses[0] >= 1


async def test_no_wait_is_longer_than_the_deadline() -> None:
    server = Answers(busy(429, "30"))
    async with client_of(server.handle) as client:
        with pytest.raises(TooManyRequests):
            await client.request_json("GET", "/x", timeout=2)


@pytest.mark.parametrize(("method", "requests"), [("GET", 2), ("DELETE", 2), ("POST", 1), ("PATCH", 1)])
async def test_an_unavailable_server_is_asked_again_where_that_is_harmless(method: str, requests: int) -> None:
    server = Answers(busy(503))
    async with client_of(server.handle) as client:
        try:
            await client.request_json(method, "/x")
        except ServerError as error:
            assert error.status == 503
    assert len(server.times) == requests


@pytest.mark.parametrize(("method", "repeated"), [("GET", True), ("POST", False)])
async def test_a_broken_connection_is_repeated_where_that_is_harmless(method: str, repeated: bool) -> None:
    server = Answers(web.json_response({}), None, None)
    async with client_of(server.handle) as client:
        await client.request_json("GET", "/first")
        if repeated:
            assert await client.request_json(method, "/x") == {"ok": True}
        else:
            with pytest.raises(ConnectionFailed, match="broke off"):
                await client.request_json(method, "/x")


async def test_a_failure_of_the_server_itself_is_told_at_once() -> None:
    server = Answers(busy(500))
    async with client_of(server.handle) as client:
        with pytest.raises(ServerError):
            await client.request_json("GET", "/x")
    assert len(server.times) == 1


async def test_a_server_that_never_answered_is_not_waited_for() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        access = Access(server=f"http://127.0.0.1:{taken.getsockname()[1]}", context="gone")
        async with asyncio.timeout(1), connect(access) as client:
            with pytest.raises(ConnectionFailed, match=r"cannot reach .* \(context gone\)") as caught:
                await client.request_json("GET", "/x")
    assert "refused" in (caught.value.detail or "")


async def test_a_server_that_keeps_silent_meets_the_deadline() -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    async with client_of(silent) as client:
        with pytest.raises(ConnectionFailed, match="gives no answer"):
            await client.request_json("GET", "/x", timeout=0.3)


async def test_a_refused_token_is_renewed_once(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    seen: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        token.write_text("renewed")
        return web.json_response({}, status=200 if "renewed" in seen[-1] else 401)

    async with client_of(handle, credentials=TokenFile(token)) as client:
        await client.request_json("POST", "/x")
    assert seen == ["Bearer old", "Bearer renewed"]


async def test_a_token_that_stays_refused_is_an_error(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("hunter2")
    server = Answers(busy(401), busy(401))
    async with client_of(server.handle, credentials=TokenFile(token), user="ann") as client:
        with pytest.raises(Unauthorized, match="does not accept the credentials of user ann") as caught:
            await client.request_json("GET", "/x")
    assert len(server.times) == 1
    assert "hunter2" not in f"{caught.value!r} {caught.value.detail} {caught.value.hint}"
