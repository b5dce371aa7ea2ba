"""git over HTTP, by git's own ``http-backend``, with a log-in like that of a forge."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import BasicAuth, web

USER, PASSWORD = "alice", "a-password-that-nobody-may-see"


class GitServer:
    """Serves the repositories of a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.program = subprocess.check_output(["git", "--exec-path"], text=True).strip() + "/git-http-backend"
        self.url = ""
        self.authorizations: list[str] = []
        """What requests logged in with."""
        self.accepted: set[str] | None = None
        """Passwords that are let in, None: everybody is."""
        self.down = False
        """Whether there is no more than a proxy that says so."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        if given:
            self.authorizations.append(given)
        if self.down:
            return web.Response(status=503)
        if self.accepted is not None and not self._logged_in(given):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REMOTE_USER": USER,
        }
        process = await asyncio.create_subprocess_exec(
            self.program,
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate(await request.content.read())
        head, _, body = output.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        return web.Response(status=status, body=body, headers=headers)

    def _logged_in(self, given: str) -> bool:
        if not given.startswith("Basic "):
            return False
        return BasicAuth.decode(given).password in (self.accepted or ())


@asynccontextmanager
async def serving_git(root: Path) -> AsyncIterator[GitServer]:
    server = GitServer(root)
    app = web.Application(client_max_size=256 << 20)
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = site.name
        yield server
    finally:
        await runner.cleanup()
