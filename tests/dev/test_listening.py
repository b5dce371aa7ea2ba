"""Binding local ports, and who holds those that are taken."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from innerloop.dev.listening import holder_of, listen
from innerloop.errors import LoopError

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on 127.0.0.1 that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
async def test_connections_are_taken(address: str) -> None:
    with listen(address, 0) as server:
        host, port = server.getsockname()[:2]
        _, writer = await asyncio.open_connection(host, port)
        accepted, _ = await asyncio.get_running_loop().sock_accept(server)
        accepted.close()
        writer.close()


@linux
def test_port_in_use_tells_by_whom() -> None:
    code = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    )
    program = [sys.executable, "-c", code, "some-argument"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        port = int(holder.stdout.readline())
        with pytest.raises(LoopError, match=f"port {port} on 127.0.0.1 is in use by .*python") as caught:
            listen("127.0.0.1", port)
        holder.communicate("\n")
    assert caught.value.message.endswith(f"(process {holder.pid})")


@linux
@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_holder_of_all_addresses_is_found(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        assert f"(process {os.getpid()})" in holder_of("127.0.0.1", server.getsockname()[1])


@linux
def test_socket_of_nobody_tells_its_user(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innerloop.dev.listening._process_with", lambda inode: 0)
    assert holder_of("127.0.0.1", taken).startswith("a process of user ")


def test_port_in_use_without_proc(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innerloop.dev.listening.tcp_sockets", lambda: iter(()))
    with pytest.raises(LoopError, match=f"port {taken} on 127.0.0.1 is in use$"):
        listen("127.0.0.1", taken)


def test_free_port_has_no_holder(taken: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    assert holder_of("127.0.0.1", free) == ""


def test_address_of_another_machine() -> None:
    with pytest.raises(LoopError, match=r"cannot listen on 192.0.2.1: it is no address of this machine"):
        listen("192.0.2.1", 0)
