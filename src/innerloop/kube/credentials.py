"""Who we are, request by request: tokens and certificates that may change while a session lives."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import NamedTuple, Protocol

from innerloop.kube.access import (
    Access,
    Basic,
    Certificate,
    ExecPlugin,
    Secret,
    Token,
    TokenFile,
)
from innerloop.kube.errors import KubeConfigError
from innerloop.kube.exec_plugin import PluginCredential, run_plugin


class Authorization(NamedTuple):
    """What one request shows to the server."""

    header: Secret | None = None
    certificate: Certificate | None = None


class Login(Protocol):
    """A source of authorizations."""

    async def current(self) -> Authorization:
        """What to show now. Raises KubeConfigError when it cannot be had."""

    async def renew(self, refused: Authorization) -> bool:
        """After a 401 for ``refused``: True when ``current`` may now give something better."""


def login(access: Access) -> Login:
    """The login for ``access``; the same for as long as its client lives."""
    match access.credentials:
        case Token(value):
            return _Fixed(Authorization(_bearer(value.reveal()), access.certificate))
        case Basic(username, password):
            pair = base64.b64encode(f"{username}:{password.reveal()}".encode()).decode()
            return _Fixed(Authorization(Secret(f"Basic {pair}"), access.certificate))
        case TokenFile(path):
            return _FromFile(path, access.certificate)
        case ExecPlugin() as plugin:
            return _FromPlugin(plugin, access.certificate)
        case None:
            return _Fixed(Authorization(None, access.certificate))


def _bearer(token: str) -> Secret:
    return Secret(f"Bearer {token}")


class _Fixed:
    def __init__(self, authorization: Authorization) -> None:
        self._authorization = authorization

    async def current(self) -> Authorization:
        return self._authorization

    async def renew(self, refused: Authorization) -> bool:
        return False


class _FromFile:
    """Reads the file again when it is another one than last time.

    Kubelet replaces projected tokens by moving a link, so identity counts as well as time.
    """

    def __init__(self, path: Path, certificate: Certificate | None) -> None:
        self._path = path
        self._certificate = certificate
        self._stamp: tuple[int, int, int] | None = None
        self._header: Secret | None = None

    async def current(self) -> Authorization:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            if stamp != self._stamp:
                self._header = _bearer(self._path.read_text().strip())
                self._stamp = stamp
        except (OSError, UnicodeDecodeError) as error:
            raise KubeConfigError(
                f"cannot read the token file {self._path}",
                detail=str(error),
                hint="log in to the cluster again, or mend tokenFile in the kubeconfig",
            ) from error
        return Authorization(self._header, self._certificate)

    async def renew(self, refused: Authorization) -> bool:
        self._stamp = None
        return await self.current() != refused


class _FromPlugin:
    """Keeps what a plugin printed until it expires or the server refuses it."""

    def __init__(self, plugin: ExecPlugin, certificate: Certificate | None) -> None:
        self._plugin = plugin
        self._certificate = certificate
        self._credential: PluginCredential | None = None
        # requests that start together must not open as many browser windows
        self._running = asyncio.Lock()

    async def current(self) -> Authorization:
        async with self._running:
            if self._credential is None or self._credential.expired():
                self._credential = await run_plugin(self._plugin)
            return self._authorization(self._credential)

    async def renew(self, refused: Authorization) -> bool:
        async with self._running:
            if self._credential is not None and self._authorization(self._credential) == refused:
                self._credential = await run_plugin(self._plugin)
                return self._authorization(self._credential) != refused
        return True

    def _authorization(self, credential: PluginCredential) -> Authorization:
        header = _bearer(credential.token.reveal()) if credential.token else None
        return Authorization(header, credential.certificate or self._certificate)
