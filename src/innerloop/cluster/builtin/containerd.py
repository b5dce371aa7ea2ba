"""Talking to a cluster's containerd from the machine, with containerd's own ``ctr``."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from innerloop.cluster.builtin.configuration import CONTAINERD_SOCKET
from innerloop.cluster.builtin.machine import required
from innerloop.errors import LoopError

START_SECONDS = 30.0


def socket_of(keeper: int) -> Path:
    """containerd's socket, which is in the mount namespace of the cluster, as the machine can reach it."""
    return Path(f"/proc/{keeper}/root{CONTAINERD_SOCKET}")


def ctr(keeper: int) -> list[str]:
    """The beginning of a command line; ``k8s.io`` is the namespace of what the kubelet runs."""
    return [required("ctr"), "--address", str(socket_of(keeper)), "--namespace", "k8s.io"]


async def wait_ready(keeper: int) -> None:
    """Raises LoopError when containerd takes no connection in time."""
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_unix_connection(socket_of(keeper))
            writer.close()
            return
        if asyncio.get_running_loop().time() > deadline:
            raise LoopError("containerd does not answer", hint="see why: loop cluster status")
        await asyncio.sleep(0.02)
