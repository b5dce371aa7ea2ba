"""Asking registries, by the OCI distribution specification 1.1: is a tag there, which digest, which configuration.

Log-in is by the token protocol of the distribution project (``WWW-Authenticate: Bearer``), OAuth2 for identity tokens,
or basic authentication.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
from yarl import URL

from innerloop.build.credentials import Credentials, find_credentials
from innerloop.errors import LoopError
from innerloop.kube.lean_aiohttp import aiohttp
from innerloop.references import DOCKER_HUB

SECONDS = 15.0
"""For one question, log-in included."""

_HUB_API = "registry-1.docker.io"
_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class RegistryError(LoopError):
    """A registry gives no answer, or not one that makes sense."""


class Registry:
    """Questions to one registry; made by ``connect``."""

    def __init__(self, session: aiohttp.ClientSession, host: str, plain_http: bool) -> None:
        self._session = session
        self._host = host
        api = _HUB_API if host == DOCKER_HUB else host
        self._root = f"{'http' if plain_http else 'https'}://{api}/v2/"
        self._authorization: dict[str, str] = {}
        """Header by repository."""

    async def digest(self, path: str, reference: str) -> str | None:
        """Digest of a tag's manifest, None when the registry does not have it or does not show it to us."""
        answer = await self._ask("HEAD", path, f"manifests/{reference}")
        if answer is None:
            return None
        return answer.headers.get("Docker-Content-Digest") or await self._digest_of_body(path, reference)

    async def configuration(self, path: str, reference: str, architecture: str) -> tuple[str, dict[str, Any]] | None:
        """Digest and content of an image's configuration, for Linux on ``architecture`` where there are several.

        The digest is what docker and buildah call the image's ID. None when the registry does not have the image.
        """
        manifest = await self._json(path, f"manifests/{reference}")
        if manifest is None:
            return None
        if "manifests" in manifest:
            chosen = _for_platform(manifest["manifests"], architecture)
            manifest = await self._json(path, f"manifests/{chosen['digest']}") if chosen else None
        if manifest is None or "config" not in manifest:
            return None
        digest: str = manifest["config"]["digest"]
        content = await self._json(path, f"blobs/{digest}")
        return None if content is None else (digest, content)

    async def _digest_of_body(self, path: str, reference: str) -> str | None:
        answer = await self._ask("GET", path, f"manifests/{reference}")
        return answer and f"sha256:{hashlib.sha256(answer.body).hexdigest()}"

    async def _json(self, path: str, what: str) -> dict[str, Any] | None:
        answer = await self._ask("GET", path, what)
        if answer is None:
            return None
        try:
            return msgspec.json.decode(answer.body, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise RegistryError(f"registry {self._host} sent {path}/{what} in a form that cannot be read") from error

    async def _ask(self, method: str, path: str, what: str) -> _Answer | None:
        """One answer; None for what is not there or not ours to see (registries answer 401 and 403 for both)."""
        answer = await self._request(method, path, what)
        if answer.status == 401:
            authorization = await self._log_in(path, answer.headers.get("WWW-Authenticate", ""))
            if authorization is None:
                return None
            self._authorization[path] = authorization
            answer = await self._request(method, path, what)
        if answer.status in (401, 403, 404):
            return None
        if answer.status != 200:
            raise RegistryError(f"registry {self._host} answered {answer.status} for {path}")
        return answer

    async def _request(self, method: str, path: str, what: str) -> _Answer:
        headers = {"Accept": ", ".join(_INDEXES + _MANIFESTS)} if what.startswith("manifests/") else {}
        if path in self._authorization:
            headers["Authorization"] = self._authorization[path]
        return await self._fetch(method, URL(f"{self._root}{path}/{what}", encoded=True), headers=headers)

    async def _fetch(self, method: str, url: URL, **options: Any) -> _Answer:
        try:
            async with self._session.request(method, url, **options) as response:
                return _Answer(response.status, response.headers, await response.read())
        except TimeoutError as error:
            raise RegistryError(f"registry {self._host} gives no answer within {SECONDS:g} s") from error
        except aiohttp.ClientError as error:
            hint = "is the network there, and is it the registry that is meant?"
            raise RegistryError(f"cannot reach registry {self._host}", detail=str(error), hint=hint) from error

    async def _log_in(self, path: str, challenge: str) -> str | None:
        """The Authorization header that answers a challenge."""
        credentials = await find_credentials(self._host)
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic":
            return _basic(credentials) if credentials else None
        if scheme.lower() != "bearer":
            return None
        fields = dict(_CHALLENGE.findall(rest))
        scope = fields.get("scope") or f"repository:{path}:pull"
        token = await self._token(fields.get("realm", ""), fields.get("service", ""), scope, credentials)
        return token and f"Bearer {token}"

    async def _token(self, realm: str, service: str, scope: str, credentials: Credentials | None) -> str | None:
        if not realm.startswith(("http://", "https://")):
            raise RegistryError(f"registry {self._host} names no server to log in at")
        if credentials and credentials.identity_token:
            form = {
                "grant_type": "refresh_token",
                "service": service,
                "scope": scope,
                "client_id": "innerloop",
                "refresh_token": credentials.identity_token,
            }
            answer = await self._fetch("POST", URL(realm), data=form)
        else:
            headers = {"Authorization": _basic(credentials)} if credentials else {}
            url = URL(realm).update_query(service=service, scope=scope)
            answer = await self._fetch("GET", url, headers=headers)
        if answer.status != 200:
            return None
        fields = msgspec.json.decode(answer.body, type=dict[str, Any])
        token: str | None = fields.get("token") or fields.get("access_token")
        return token


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


@asynccontextmanager
async def connect(host: str, *, plain_http: bool = False) -> AsyncIterator[Registry]:
    """Ask a registry. Its questions raise RegistryError when it cannot be reached."""
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True, auto_decompress=True) as session:
        yield Registry(session, host, plain_http)


def _for_platform(manifests: list[dict[str, Any]], architecture: str) -> dict[str, Any] | None:
    for manifest in manifests:
        platform = manifest.get("platform") or {}
        if platform.get("os") == "linux" and platform.get("architecture") == architecture:
            return manifest
    return None


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.user}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"
