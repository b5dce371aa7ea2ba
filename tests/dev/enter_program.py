"""Enters a container from a process of its own: KUBECONFIG NAMESPACE POD CONTAINER [COMMAND…]."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from innerloop.dev.terminal import enter
from innerloop.errors import LoopError
from innerloop.kube import config
from innerloop.kube.client import connect


async def main(kubeconfig: str, namespace: str, pod: str, container: str, *command: str) -> int:
    async with connect(config.access(config.load([Path(kubeconfig)]))) as client:
        return await enter(client, namespace, pod, container, command)


if __name__ == "__main__":
    try:
        status = asyncio.run(main(*sys.argv[1:]))
    except LoopError as error:
        sys.exit(f"{error}\n{error.detail}\n{error.hint}")
    sys.exit(status)
