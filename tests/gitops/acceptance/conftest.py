from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gitops.acceptance import server
from tests.gitops.acceptance.poll import Clone, Poll
from tests.gitops.forge.server import TOKEN


@pytest.fixture
def user(tmp_path: Path, isolated: None, tools: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set in a shell: a token, and no cluster."""
    for name in [name for name in os.environ if name.startswith("LOOP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LOOP_FORGE_TOKEN", TOKEN)
    monkeypatch.setenv("KUBECONFIG", os.devnull)


@pytest.fixture
async def digest() -> str:
    """Of the image, where none is pulled."""
    return f"sha256:{'0' * 64}"


@pytest.fixture
async def poll(tmp_path: Path, user: None, digest: str) -> AsyncIterator[Poll]:
    """The project and its GitOps repository, on one server."""
    root = tmp_path / "server"
    async with server.serving(root, "acme/poll", "acme/poll-gitops") as (source, ops):
        yield Poll(source, ops, secrets.token_hex(4), tmp_path, digest)


@pytest.fixture
async def laptop(poll: Poll) -> Clone:
    return await poll.clone("laptop")
