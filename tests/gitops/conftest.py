"""Each forge with its server, both in the test's process; an environment with its repository and its forge."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from innerloop.gitops.forges.forge import Forge as Adapter
from innerloop.kube.client import Client
from tests.gitops.agents import argocd
from tests.gitops.agents.argocd import ArgoCD
from tests.gitops.forge.kinds import KINDS, QUICK, adapter_of
from tests.gitops.forge.repository import Repository
from tests.gitops.forge.server import Forge, serving
from tests.gitops.lab import Lab, lab_at

__all__ = ["KINDS", "QUICK", "adapter_of"]


@pytest.fixture(scope="session")
async def argo(client: Client, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ArgoCD]:
    """Argo CD's controllers, for all tests of the run."""
    async with argocd.running(client, kubeconfig, tmp_path_factory.mktemp("argocd")) as started:
        yield started


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def server(kind: str) -> AsyncIterator[Forge]:
    async with serving(KINDS[kind].speaker(Repository(KINDS[kind].path))) as forge:
        yield forge


@pytest.fixture
async def forge(kind: str, server: Forge) -> AsyncIterator[Adapter]:
    async with adapter_of(kind, server.url) as adapter:
        yield adapter


@pytest.fixture
async def connected(kind: str, server: Forge) -> AsyncIterator[Callable[..., Any]]:
    """Further adapters, with other tokens."""
    async with AsyncExitStack() as stack:

        async def connect(**options: Any) -> Adapter:
            return await stack.enter_async_context(adapter_of(kind, server.url, **options))

        yield connect


@pytest.fixture
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Own caches, and none of the machine's own git configuration or tokens."""
    for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / ".home" / variable))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for variable in ("LOOP_FORGE_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", "GITLAB_TOKEN", "GITEA_TOKEN"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
async def lab(tmp_path: Path, isolated: None) -> AsyncIterator[Lab]:
    async with lab_at(tmp_path) as lab:
        yield lab
