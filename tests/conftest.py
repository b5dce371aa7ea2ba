"""Fixtures that everyone needs: the real cluster, a client on it, a namespace of one's own."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from innerloop.kube.client import Client


@pytest.fixture(scope="session")
def kubeconfig() -> Iterator[Path]:
    """The kubeconfig of a real cluster: the one named by INNERLOOP_TEST_KUBECONFIG, else the built-in node."""
    given = os.environ.get("INNERLOOP_TEST_KUBECONFIG")
    if given:
        yield Path(given)
        return
    pytest.fail("no cluster: set INNERLOOP_TEST_KUBECONFIG")


@pytest.fixture(scope="session")
async def client(kubeconfig: Path) -> AsyncIterator[Client]:
    """A client with all rights."""
    from innerloop.kube.client import connect

    from innerloop.kube import config

    async with connect(config.access(config.load([kubeconfig]))) as connected:
        yield connected


@pytest.fixture
async def namespace(client: Client) -> AsyncIterator[str]:
    """A fresh namespace, removed afterwards without waiting."""
    from innerloop.kube import objects
    from innerloop.manifest import ObjectKey

    name = f"test-{secrets.token_hex(4)}"
    await objects.create(client, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    await objects.delete(client, ObjectKey("v1", "Namespace", "", name))
