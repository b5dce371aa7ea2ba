"""Whether the program at the other end of a connection is gone."""

from __future__ import annotations

import socket
import sys
import time

import pytest

from innerloop.dev.peers import has_left

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")


@linux
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_half_closed_client_has_not_left(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with (
        socket.create_server((address, 0), family=family) as server,
        socket.create_connection(server.getsockname()[:2]) as client,
        server.accept()[0] as accepted,
    ):
        assert has_left(accepted) is False
        client.shutdown(socket.SHUT_WR)
        assert accepted.recv(1) == b""
        assert has_left(accepted) is False
        client.close()
        assert has_left(accepted) is True


@linux
def test_client_that_reset_has_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        with server.accept()[0] as accepted:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
            assert has_left(accepted) is True


def test_other_systems_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        with server.accept()[0] as accepted:
            assert has_left(accepted) is None


@linux
def test_asking_is_cheap() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        with server.accept()[0] as accepted:
            start = time.perf_counter()
            for _ in range(100):
                has_left(accepted)
            assert time.perf_counter() - start < 0.5
