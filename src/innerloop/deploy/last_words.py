"""The last lines of a container that crashed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from innerloop.deploy.causes import Cause
from innerloop.kube import logs
from innerloop.kube.client import Client
from innerloop.kube.errors import KubeError

LINES = 10
SECONDS = 3.0
"""A node that does not answer must not hold up the message."""


async def last_lines(client: Client, namespace: str, cause: Cause) -> list[str]:
    """The last lines, without trailing empty ones; none where there is no log any more."""
    lines: list[str] = []
    try:
        async with asyncio.timeout(SECONDS):
            previous = cause.logs == "previous"
            stream = logs.follow(
                client,
                namespace,
                cause.pod,
                cause.container,
                previous=previous,
                follow=False,
                tail=LINES,
                timestamps=False,
            )
            async with aclosing(stream):
                lines = [line.decode(errors="replace").rstrip() async for line in stream]
    except (KubeError, TimeoutError):
        pass  # the container was removed meanwhile, or we may not read logs: then without
    while lines and not lines[-1]:
        lines.pop()
    return lines
