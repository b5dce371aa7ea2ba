"""An API server of one's own, with etcd and nothing else, that may be killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import trustme

from innerloop.cluster.compiling import compiled
from innerloop.kube.access import Access, Secret, Token
from innerloop.kube.client import connect
from innerloop.kube.errors import KubeError
from tests.ports import free_port
from tests.waiting import until

TOKENS = 'admin,admin,1,"system:masters"\nrobot,robot,2\n'


class ApiServer:
    """Started on loopback by ``api_server``; users are ``admin`` and ``robot``, who has no rights."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        leaf = authority.issue_cert("127.0.0.1")
        leaf.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
        leaf.private_key_pem.write_to_path(folder / "key.pem")
        (folder / "tokens").write_text(TOKENS)
        self._folder = folder
        self._etcd_port, self._port = free_port(), free_port()
        self._process: Process | None = None
        self.admin = Access(
            server=f"https://127.0.0.1:{self._port}",
            ca=authority.cert_pem.bytes().decode(),
            credentials=Token(Secret("admin")),
        )
        self.robot = msgspec.structs.replace(self.admin, credentials=Token(Secret("robot")))

    async def start(self) -> None:
        """Start the server; does not wait until it answers."""
        self._process = await spawn(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            "--endpoint-reconciler-type=none",
            f"--tls-cert-file={self._folder}/server.pem",
            f"--tls-private-key-file={self._folder}/key.pem",
            f"--service-account-key-file={self._folder}/key.pem",
            f"--service-account-signing-key-file={self._folder}/key.pem",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            f"--token-auth-file={self._folder}/tokens",
        )

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    @contextlib.asynccontextmanager
    async def etcd(self) -> AsyncIterator[None]:
        url, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{free_port()}"
        process = await spawn(
            "etcd",
            f"--data-dir={self._folder}/etcd",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )
        try:
            yield
        finally:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def api_server(folder: Path) -> AsyncIterator[ApiServer]:
    """A server that is ready; ended with all its data."""
    server = ApiServer(folder)
    async with server.etcd():
        try:
            await server.start()
            await until(lambda: ready(server.admin), timeout=60, every=0.1, what="the API server is ready")
            yield server
        finally:
            await server.kill()


async def ready(access: Access) -> bool:
    async with connect(access) as client:
        try:
            return await client.request("GET", "/readyz") == b"ok"
        except KubeError:
            return False


async def spawn(program: str, *arguments: str) -> Process:
    path = shutil.which(program)
    if path is None and (programs := compiled()) is not None:
        path = str(programs.folder / program)
    if path is None:
        pytest.skip(f"no {program}: neither on PATH nor compiled for the built-in node")
    return await asyncio.create_subprocess_exec(path, *arguments, stdout=DEVNULL, stderr=DEVNULL)
