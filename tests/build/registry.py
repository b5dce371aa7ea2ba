"""A registry in the test's process: the part of the OCI distribution specification that pushing and pulling needs.

With ``user`` it asks for a bearer token, which its own token server gives for that user's password or identity token.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from yarl import URL

IDENTITY_TOKEN = "an identity token"


class FakeRegistry:
    def __init__(self, user: str = "", password: str = "") -> None:
        self.host = ""
        self.requests: list[str] = []
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self._uploads: dict[str, bytes] = {}
        self._user, self._password = user, password
        self._tokens: set[str] = set()

    async def answer(self, request: web.Request) -> web.Response:
        if request.path == "/token":
            return await self._token(request)
        if self._user and request.headers.get("Authorization", "")[7:] not in self._tokens:
            challenge = f'Bearer realm="http://{self.host}/token",service="test",scope="repository:x:pull,push"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        parts = request.path.removeprefix("/v2/").split("/")
        if len(parts) < 3:
            return web.Response()
        self.requests.append(f"{request.method} {request.path}")
        if "uploads" in parts:
            return await self._upload(request)
        path, area, what = "/".join(parts[:-2]), parts[-2], parts[-1]
        if area == "tags":
            tags = [name.removeprefix(f"{path}:") for name in self.manifests if name.startswith(f"{path}:")]
            return web.json_response({"name": path, "tags": [tag for tag in tags if not tag.startswith("sha256:")]})
        if area == "blobs":
            return _content(self.blobs.get(what), "application/octet-stream", what)
        if request.method == "PUT":
            return await self._put(request, path, what)
        kind, body = self.manifests.get(f"{path}:{what}", ("", None))
        return _content(body, kind, digest_of(body or b""))

    async def _token(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            good = (await request.post()).get("refresh_token") == IDENTITY_TOKEN
        else:
            pair = base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
            good = request.headers.get("Authorization") == f"Basic {pair}"
        if not good:
            return web.Response(status=401)
        self._tokens.add(token := secrets.token_hex())
        return web.json_response({"token": token})

    async def _upload(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            identity = secrets.token_hex(8)
            self._uploads[identity] = b""
            location = f"{request.path.removesuffix('/')}/{identity}"
            return web.Response(status=202, headers={"Location": location, "Range": "0-0"})
        identity = request.path.rsplit("/", 1)[1]
        self._uploads[identity] += await request.read()
        headers = {"Location": request.path, "Range": f"0-{max(len(self._uploads[identity]) - 1, 0)}"}
        if request.method == "PATCH":
            return web.Response(status=202, headers=headers)
        digest = request.query["digest"]
        self.blobs[digest] = self._uploads.pop(identity)
        return web.Response(status=201, headers={**headers, "Docker-Content-Digest": digest})

    async def _put(self, request: web.Request, path: str, tag: str) -> web.Response:
        body = await request.read()
        entry = (request.headers["Content-Type"], body)
        self.manifests[f"{path}:{tag}"] = self.manifests[f"{path}:{digest_of(body)}"] = entry
        return web.Response(status=201, headers={"Docker-Content-Digest": digest_of(body)})


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@asynccontextmanager
async def serving(registry: FakeRegistry) -> AsyncIterator[FakeRegistry]:
    """Serve on a free port of the loopback address."""
    application = web.Application(client_max_size=1 << 30)
    application.router.add_route("*", "/{path:.*}", registry.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        registry.host = URL(f"http://127.0.0.1:{runner.addresses[0][1]}").authority
        yield registry
    finally:
        await runner.cleanup()


def _content(body: bytes | None, kind: str, digest: str) -> web.Response:
    if body is None:
        return web.Response(status=404)
    return web.Response(body=body, content_type=kind, headers={"Docker-Content-Digest": digest})
