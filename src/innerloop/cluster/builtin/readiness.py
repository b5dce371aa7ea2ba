"""What is particular to the built-in cluster among the checks of ``cluster.waiting``."""

from __future__ import annotations

import asyncio
import contextlib

from innerloop.cluster.builtin import dns
from innerloop.cluster.builtin.addresses import Addresses
from innerloop.cluster.waiting import ANSWER_SECONDS

API_SERVICE = "kubernetes.default.svc.cluster.local"


async def dns_problem(addresses: Addresses) -> str:
    if await dns.resolves(str(addresses.node), API_SERVICE, timeout=ANSWER_SECONDS):
        return ""
    return f"cluster DNS ({addresses.node}) does not resolve {API_SERVICE}"


async def services_problem(addresses: Addresses) -> str:
    """Whether the node directs a Service's address to what is behind it."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(str(addresses.api_service), 443)
            writer.close()
            return ""
    return f"Services do not answer: tried that of the API server, {addresses.api_service}:443"
