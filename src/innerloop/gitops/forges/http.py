"""One connection pool to one forge: requests, pages, waiting and repeating, errors.

What is repeated: requests that the forge put off (429, and GitHub's 403), for as long as it says and we are willing;
5xx and connections that break off, where a second request does no harm. A forge that never answered is not waited for.
"""

from __future__ import annotations

import asyncio
import io
import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
from yarl import URL

from innerloop import __version__
from innerloop.gitops.forges import limits
from innerloop.gitops.forges.answers import Answer, Dialect, rate_limited, refusal, sign_in_page
from innerloop.gitops.forges.errors import ForgeError, Unreachable
from innerloop.gitops.forges.tokens import Token
from innerloop.kube import proxies
from innerloop.kube.access import Access
from innerloop.kube.lean_aiohttp import aiohttp

Query = Mapping[str, str | int]

MOST_PAGES = 50
REDIRECTS = 3


class Patience(NamedTuple):
    """For how long a forge is waited for; seconds."""

    attempts: int = 4
    pause: float = 0.5
    """Before the first repetition; doubled before each further one."""
    longest_wait: float = 65.0
    """A forge that says to come back later than this is not waited for. GitHub's secondary limits are a minute."""
    timeout: float = 30.0


class Api:
    """Talks to the API of one forge; made by ``connect``. Everything raises ForgeError."""

    def __init__(
        self, session: aiohttp.ClientSession, base: str, token: Token, dialect: Dialect, patience: Patience
    ) -> None:
        self.base = base
        self.dialect = dialect
        self._session = session
        self._token = token
        self._patience = patience
        self._proxy = proxies.find(Access(server=base))
        self._reached = False

    async def get(self, path: str, query: Query | None = None) -> Any:
        return (await self.request("GET", path, query=query)).body

    async def post(self, path: str, body: Any, *, query: Query | None = None, repeatable: bool = False) -> Any:
        """``repeatable`` says that it may reach the forge twice without harm."""
        return (await self.request("POST", path, query=query, body=body, repeatable=repeatable)).body

    async def patch(self, path: str, body: Any, *, query: Query | None = None) -> Any:
        return (await self.request("PATCH", path, query=query, body=body)).body

    async def put(self, path: str, body: Any, *, query: Query | None = None) -> Any:
        return (await self.request("PUT", path, query=query, body=body)).body

    async def pages(
        self, path: str, query: Query | None = None, *, following: Callable[[Answer], str | None] | None = None
    ) -> AsyncIterator[Any]:
        """The body of each page, by the Link header or by what ``following`` reads out of an answer.

        At most MOST_PAGES of them: nothing that we ask for is ever that long.
        """
        url: str | None = path
        for _ in range(MOST_PAGES):
            if url is None:
                return
            answer = await self.request("GET", url, query=query)
            yield answer.body
            url, query = (following or _next_link)(answer), None
            if url is not None and URL(url).origin() != URL(self.base).origin():
                raise Unreachable(f"{self.dialect.name} names another server for the next page", detail=url)

    async def request(
        self, method: str, path: str, *, query: Query | None = None, body: Any = None, repeatable: bool | None = None
    ) -> Answer:
        """One answer of success. ``path`` is one below ``base``, or a whole URL."""
        repeat = method != "POST" if repeatable is None else repeatable
        pause = self._patience.pause
        for left in reversed(range(self._patience.attempts)):
            reached = self._reached
            try:
                answer = await self._followed(method, self._url(path, query), body)
                error, wait = self._judged(answer, method, path, repeat, pause)
            except Unreachable as unreachable:
                error, wait = unreachable, pause if repeat and reached else None
            if error is None:
                return answer
            if wait is None or not left or wait > self._patience.longest_wait:
                raise error
            await asyncio.sleep(wait)
            pause *= 2
        raise AssertionError("at least one attempt")

    def _judged(
        self, answer: Answer, method: str, path: str, repeatable: bool, pause: float
    ) -> tuple[ForgeError | None, float | None]:
        """The error that an answer is, and the seconds after which the request may be sent again."""
        what = f"{method} {URL(path).path if '://' in path else path}"
        scrub = self._token.scrubbed
        seconds = limits.seconds(answer)
        if seconds is not None:
            return rate_limited(self.dialect, answer, seconds, scrub), max(seconds, pause)
        if answer.status >= 500:
            words = scrub(self.dialect.words(answer.body))
            error = Unreachable(f"{self.dialect.name} answered {answer.status} to {what}", detail=words or None)
            return error, max(pause, limits.retry_after(answer) or 0) if repeatable else None
        if sign_in_page(answer):
            return refusal(self.dialect, answer._replace(status=401), what, self._token.source, scrub), None
        if answer.status >= 300:
            return refusal(self.dialect, answer, what, self._token.source, scrub), None
        if not answer.is_json:
            hint = "check the repository's address and `gitops.forge` in loop.yaml"
            return Unreachable(f"{self.base} does not answer as {self.dialect.name} does", hint=hint), None
        return None, None

    async def _followed(self, method: str, url: URL, body: Any) -> Answer:
        """The answer behind redirects of the same server, which renamed repositories have; others keep no token."""
        for _ in range(REDIRECTS):
            answer = await self._once(method, url, body)
            target = answer.headers.get("Location")
            if answer.status not in (301, 307, 308) or not target:
                return answer
            moved = url.join(URL(target, encoded=True))
            encrypted = (url.scheme, moved.scheme, moved.host) == ("http", "https", url.host)
            if moved.origin() != url.origin() and not encrypted:
                return answer
            url = moved
        return answer

    async def _once(self, method: str, url: URL, body: Any) -> Answer:
        # a stream, for a megabyte of text is written in pieces
        data = None if body is None else io.BytesIO(msgspec.json.encode(body))
        headers = {"Content-Type": "application/json"} if data is not None else {}
        proxy = self._proxy.reveal() if self._proxy else None
        try:
            async with self._session.request(
                method, url, data=data, headers=headers, proxy=proxy, allow_redirects=False
            ) as response:
                payload = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from None
        self._reached = True
        try:
            return Answer(response.status, response.headers, msgspec.json.decode(payload) if payload else None, True)
        except msgspec.DecodeError:
            return Answer(response.status, response.headers, payload.decode(errors="replace"), False)

    def _url(self, path: str, query: Query | None) -> URL:
        url = URL(path if "://" in path else f"{self.base}/{path}", encoded=True)
        return url.update_query([(name, str(value)) for name, value in query.items()]) if query else url

    def _unreachable(self, error: Exception) -> Unreachable:
        name = self.dialect.name
        if isinstance(error, TimeoutError):
            return Unreachable(f"{name} ({self.base}) gives no answer", detail="timed out", hint=_HINT)
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            hint = "is it the forge's own authority? SSL_CERT_FILE names a file of those to trust"
            reason = str(getattr(error.certificate_error, "verify_message", "") or error.certificate_error)
            return Unreachable(f"the certificate of {self.base} cannot be trusted", detail=reason, hint=hint)
        if isinstance(error, aiohttp.ClientHttpProxyError):
            # its text would show the proxy's URL, password and all
            return Unreachable(f"the proxy before {name} refused", detail=f"{error.status} {error.message}")
        return Unreachable(f"cannot reach {name} at {self.base}", detail=_reason(error), hint=_HINT)


_HINT = "check the network, HTTPS_PROXY and NO_PROXY; `gitops.forge: git` only pushes a branch"


def _reason(error: Exception) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.errno and cause.errno > 0 and not isinstance(cause, ssl.SSLError):
        return os.strerror(cause.errno)
    return str(cause) or type(cause).__name__


def _next_link(answer: Answer) -> str | None:
    for link in answer.headers.get("Link", "").split(","):
        target, _, parameters = link.partition(";")
        if 'rel="next"' in parameters.replace(" ", ""):
            return target.strip().strip("<>")
    return None


@asynccontextmanager
async def connect(
    base: str, token: Token, dialect: Dialect, headers: Mapping[str, str], patience: Patience | None = None
) -> AsyncIterator[Api]:
    """``headers`` log in; ``base`` has no slash at its end."""
    patience = patience or Patience()
    timeout = aiohttp.ClientTimeout(total=patience.timeout, sock_connect=min(10.0, patience.timeout))
    headers = {"Accept": "application/json", "User-Agent": f"innerloop/{__version__}", **headers}
    # trust_env stays off: it would have ~/.netrc replace the token
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        yield Api(session, base, token, dialect, patience)
