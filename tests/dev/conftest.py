"""Services under development."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from innerloop.kube.client import Client
from tests.dev.service import Service, developed

Start = Callable[..., Awaitable[Service]]


@pytest.fixture
async def start(client: Client, namespace: str, tmp_path: Path) -> AsyncIterator[Start]:
    """Deploys a container with the dev overlay and keeps a folder in sync with it; takes what ``developed`` takes."""
    async with AsyncExitStack() as stack:

        async def run(container: dict[str, Any] | None = None, *, through: Client = client, **how: Any) -> Service:
            service = developed(through, namespace, tmp_path / "local", container, **how)
            return await stack.enter_async_context(service)

        yield run
