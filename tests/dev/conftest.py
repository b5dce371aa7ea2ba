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
            developing = developed(through, namespace, tmp_path / "local", container, **how)
            service = await stack.enter_async_context(developing)
            # whoever looks at the container does not share the fate of the sync's connection
            service.client = client
            return service

        yield run
