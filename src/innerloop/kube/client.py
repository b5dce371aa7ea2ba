"""One connection pool to one API server: requests, streams, WebSockets.

Everything that the HTTP library raises is turned into the errors of ``kube.errors`` here.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec
from multidict import CIMultiDict
from yarl import URL

from innerloop import __version__
from innerloop.kube import proxies, tls, transport
from innerloop.kube.access import Access, Certificate, Impersonation
from innerloop.kube.credentials import Authorization, login
from innerloop.kube.errors import Unauthorized
from innerloop.kube.lean_aiohttp import aiohttp
from innerloop.kube.retrying import retried

T = TypeVar("T")

JSON = "application/json"
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 35.0
"""Silence after which an ordinary request is lost; a server may spend 30 s in admission webhooks."""
REQUEST_SECONDS = 60.0
"""Until an ordinary request has succeeded, repetitions included."""
PARALLEL_REQUESTS = 8
"""Each connection costs a TLS handshake, 5 ms of CPU; more than these do not make a local cluster faster."""

Query = Mapping[str, str | int | bool] | Sequence[tuple[str, str]]


class Stream(NamedTuple):
    """An open response."""

    status: int
    content_type: str
    chunks: AsyncIterator[bytes]
    """The body as it arrives. Raises ConnectionFailed when it breaks off before its end."""


class Client:
    """Talks to the API server of ``access``; made by ``connect``."""

    def __init__(self, access: Access, on_warning: Callable[[str], None] | None) -> None:
        self.access = access
        self.cache: dict[str, Any] = {}
        """What other modules of the package remember about the server for as long as the client lives."""
        self._login = login(access)
        self._proxy = proxies.find(access)
        self._session = _session(access, self._check)
        self._impersonation = _impersonation(access.impersonate)
        self._tls: tuple[Certificate | None, ssl.SSLContext] | None = None
        self._slots = asyncio.Semaphore(PARALLEL_REQUESTS)
        self._reached = False
        self._on_warning = on_warning
        self._warned: set[str] = set()

    async def close(self) -> None:
        await self._session.close()

    async def request_json(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
        repeatable: bool | None = None,
        timeout: float = REQUEST_SECONDS,
    ) -> Any:
        """The decoded answer of one request, None when it is empty.

        ``repeatable`` says that the request may reach the server twice without harm, by default that of the
        method. Raises ApiError, ConnectionFailed, KubeConfigError.
        """
        payload = await self.request(
            method,
            path,
            query=query,
            body=None if body is None else msgspec.json.encode(body),
            content_type=content_type,
            accept=accept,
            repeatable=repeatable,
            timeout=timeout,
        )
        return transport.decoded(self.access, payload)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        repeatable: bool | None = None,
        timeout: float = REQUEST_SECONDS,
    ) -> bytes:
        """The whole body of one answer; otherwise as ``request_json``."""
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = content_type

        async def once(authorization: Authorization) -> bytes:
            options = self._options(authorization, headers)
            response = await self._session.request(
                method, self._url(path, query), data=body, allow_redirects=False, **options
            )
            try:
                return await response.read()
            except BaseException:
                transport.abort(response)
                raise

        repeat = method in ("GET", "HEAD", "PUT", "DELETE") if repeatable is None else repeatable
        # kept while waiting to repeat: a server that is busy is not asked other things meanwhile
        async with self._slots:
            return await self._attempted(once, repeatable=repeat, timeout=timeout)

    @contextlib.asynccontextmanager
    async def open_stream(
        self,
        path: str,
        *,
        query: Query | None = None,
        accept: str = JSON,
        idle_timeout: float | None = None,
    ) -> AsyncIterator[Stream]:
        """A GET whose body is read as it arrives; ``idle_timeout`` is the longest silence in seconds.

        Opening is retried, reading is not. Raises as ``request_json``.
        """

        async def once(authorization: Authorization) -> aiohttp.ClientResponse:
            options = self._options(authorization, {"Accept": accept})
            timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=idle_timeout)
            return await self._session.get(self._url(path, query), timeout=timeout, allow_redirects=False, **options)

        response = await self._attempted(once, repeatable=True, timeout=REQUEST_SECONDS)
        try:
            async with contextlib.aclosing(transport.chunks(self.access, response)) as chunks:
                yield Stream(response.status, response.headers.get("Content-Type", ""), chunks)
        finally:
            transport.abort(response)

    @contextlib.asynccontextmanager
    async def open_websocket(
        self,
        path: str,
        query: Query | None = None,
        protocols: Sequence[str] = (),
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket in the first of ``protocols`` that the server speaks (see ``.protocol``).

        Opening is retried as any GET. Pings and pongs come as messages: who answers them, and what their absence
        means, is ``kube.websockets``' subject. While it is open, use ``transport.translated`` around what the HTTP
        library may raise. Raises as ``request_json``.
        """

        async def once(authorization: Authorization) -> aiohttp.ClientWebSocketResponse:
            options = self._options(authorization, {})
            opened: aiohttp.ClientWebSocketResponse = await self._session.ws_connect(
                self._url(path, query), protocols=protocols, autoping=False, max_msg_size=0, **options
            )
            return opened

        websocket = await self._attempted(once, repeatable=True, timeout=REQUEST_SECONDS)
        try:
            yield websocket
        finally:
            await websocket.close()

    async def _attempted(self, once: Callable[[Authorization], Awaitable[T]], *, repeatable: bool, timeout: float) -> T:
        # the clock runs for the server only: a plugin may be asking the user for a password
        authorization = await self._login.current()
        try:
            return await self._repeated(once, authorization, repeatable=repeatable, timeout=timeout)
        except Unauthorized:
            if not await self._login.renew(authorization):
                raise
        return await self._repeated(once, await self._login.current(), repeatable=repeatable, timeout=timeout)

    async def _repeated(
        self,
        once: Callable[[Authorization], Awaitable[T]],
        authorization: Authorization,
        *,
        repeatable: bool,
        timeout: float,
    ) -> T:
        deadline = asyncio.get_running_loop().time() + timeout

        async def attempt() -> T:
            with transport.translated(self.access):
                async with asyncio.timeout_at(deadline):
                    return await once(authorization)

        return await retried(attempt, repeatable=repeatable, reached=lambda: self._reached, deadline=deadline)

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        """Called by the session for each response, also for that of a WebSocket handshake."""
        self._reached = True
        self._report_warnings(response)
        await transport.check(self.access, response)

    def _report_warnings(self, response: aiohttp.ClientResponse) -> None:
        # '299 - "policy/v1beta1 PodDisruptionBudget is deprecated"': RFC 7234 5.5, Kubernetes 1.19
        for header in response.headers.getall("Warning", ()):
            text = header.partition(' "')[2].removesuffix('"').replace('\\"', '"')
            if self._on_warning is not None and text not in self._warned:
                self._warned.add(text)
                self._on_warning(text)

    def _url(self, path: str, query: Query | None) -> URL:
        url = URL(self.access.server + path, encoded=True)
        if not query:
            return url
        pairs = query.items() if isinstance(query, Mapping) else query
        return url.with_query([(name, _query_text(value)) for name, value in pairs])

    def _options(self, authorization: Authorization, headers: Mapping[str, str]) -> dict[str, Any]:
        """Keyword arguments that every request of the session takes."""
        all_headers = CIMultiDict(self._impersonation)
        all_headers.update(headers)
        if authorization.header is not None:
            all_headers["Authorization"] = authorization.header.reveal()
        options: dict[str, Any] = {"headers": all_headers, "proxy": self._proxy and self._proxy.reveal()}
        if self.access.server.startswith("https:"):
            options["ssl"] = self._tls_context(authorization.certificate)
            options["server_hostname"] = self.access.server_name
        return options

    def _tls_context(self, certificate: Certificate | None) -> ssl.SSLContext:
        if self._tls is None or self._tls[0] != certificate:
            # connections are pooled by context, so a renewed certificate gets new ones
            self._tls = certificate, tls.context(self.access, certificate)
        return self._tls[1]


@contextlib.asynccontextmanager
async def connect(access: Access, *, on_warning: Callable[[str], None] | None = None) -> AsyncIterator[Client]:
    """A client for ``access``; no request is made yet.

    ``on_warning`` gets each warning of the API server once (deprecated versions, unknown fields).
    """
    client = Client(access, on_warning)
    try:
        yield client
    finally:
        await client.close()


def _session(access: Access, check: Callable[[aiohttp.ClientResponse], Awaitable[None]]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            # watches and streams hold connections for hours: a limit would starve requests
            limit=0,
            # less than the 90 s after which API servers close idle connections
            keepalive_timeout=60,
            resolver=aiohttp.ThreadedResolver(),
            socket_factory=transport.open_socket,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={
            "User-Agent": f"innerloop/{__version__}",
            "Accept-Encoding": "gzip" if access.compress else "identity",
        },
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=IDLE_SECONDS),
        raise_for_status=check,
        read_bufsize=256 * 1024,
    )


def _query_text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _impersonation(impersonate: Impersonation | None) -> CIMultiDict[str]:
    headers: CIMultiDict[str] = CIMultiDict()
    if impersonate is None:
        return headers
    headers["Impersonate-User"] = impersonate.user
    if impersonate.uid:
        headers["Impersonate-Uid"] = impersonate.uid
    for group in impersonate.groups:
        headers.add("Impersonate-Group", group)
    for name, values in impersonate.extra.items():
        for value in values:
            # the name is a header's part, so other characters go percent-encoded (Kubernetes 1.11)
            headers.add(f"Impersonate-Extra-{quote(name, safe='')}", value)
    return headers
