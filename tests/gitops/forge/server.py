"""The HTTP side that all APIs share: log-in, faults on demand, pages."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from aiohttp import web

from tests.gitops.forge.repository import AlreadyThere, Refused, Repository

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
TOKEN = "a-token-that-nobody-may-see"


@dataclass
class Fault:
    """What is answered instead, to requests of ``method`` whose path has ``path`` in it."""

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    method: str = ""
    path: str = ""
    done: bool = False
    """Whether the request is carried out first, and only its answer is lost."""
    cut: bool = False
    """Whether the connection breaks off in place of an answer."""


class Speaker(Protocol):
    """One API."""

    repository: Repository
    forge: Forge
    """Set by ``Forge``."""

    def routes(self) -> Sequence[web.RouteDef]: ...
    def logged_in(self, request: web.Request) -> bool: ...
    def expired(self) -> web.Response:
        """The answer to a token that is not, or no longer, known."""
        ...

    def missing_scope(self) -> web.Response: ...
    def refusal(self, error: Refused) -> web.Response: ...


class Seen(NamedTuple):
    method: str
    path: str
    body: Any
    query: Mapping[str, str]


class Forge:
    """A server of one repository, by one API."""

    def __init__(self, speaker: Speaker) -> None:
        self.speaker = speaker
        self.repository = speaker.repository
        self.url = ""
        self.faults: list[Fault] = []
        self.requests: list[Seen] = []
        self.lacks_scope = False
        self.git: Handler | None = None
        """What answers to git, at the addresses of its repositories."""
        self.page_limit = 100
        """Most items of a page, whatever is asked for."""
        speaker.forge = self

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self.git is not None and ".git/" in request.path:
            return await self.git(request)
        body = await request.json() if request.can_read_body else None
        self.requests.append(Seen(request.method, request.path, body, request.query))
        fault = self._fault(request)
        if fault is None or fault.done:
            response = await self._answer(request, handler)
        if fault is not None:
            if fault.cut and request.transport is not None:
                request.transport.abort()
            kind = "text/html" if "<html" in fault.body else "application/json"
            response = web.Response(status=fault.status, text=fault.body, headers=fault.headers, content_type=kind)
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self.speaker.logged_in(request):
            return self.speaker.expired()
        if self.lacks_scope:
            return self.speaker.missing_scope()
        try:
            return await handler(request)
        except Refused as error:
            return self.speaker.refusal(error)

    def _fault(self, request: web.Request) -> Fault | None:
        for fault in self.faults:
            if fault.times and fault.method in ("", request.method) and fault.path in request.path:
                fault.times -= 1
                return fault
        return None

    def page(self, request: web.Request, items: Sequence[T], size: str) -> tuple[Sequence[T], dict[str, str]]:
        """The page that is asked for, and the Link header to the next."""
        limit = min(int(request.query.get(size, 30)), self.page_limit)
        number = int(request.query.get("page", 1))
        found = items[(number - 1) * limit : number * limit]
        if number * limit >= len(items):
            return found, {}
        following = request.url.update_query({"page": number + 1})
        return found, {"Link": f'<{request.url}>; rel="first", <{following}>; rel="next"'}


@asynccontextmanager
async def serving(speaker: Speaker, tls: ssl.SSLContext | None = None) -> AsyncIterator[Forge]:
    forge = Forge(speaker)
    app = web.Application(middlewares=[forge.answer], client_max_size=4 << 20)
    app.add_routes(speaker.routes())
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        forge.url = site.name
        yield forge
    finally:
        await runner.cleanup()


__all__ = ["TOKEN", "AlreadyThere", "Fault", "Forge", "Refused", "Speaker", "serving"]
