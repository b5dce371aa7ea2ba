from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import NotFound
from tests.gitops.agents import flux as fluxcd
from tests.gitops.agents.argocd import ArgoCD, Repository
from tests.gitops.agents.flux import Flux
from tests.gitops.agents.flux_vote import FluxVote
from tests.gitops.agents.vote import Vote
from tests.gitops.git_http import GitServer, serving_git


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "gitops")


@pytest.fixture
async def vote(argo: ArgoCD, repository: Repository, namespace: str) -> AsyncIterator[Vote]:
    """An Application for a namespace, which does not exist yet."""
    found = Vote(argo, repository, namespace)
    yield found
    with contextlib.suppress(NotFound):
        await objects.delete(argo.client, argo.key(found.name))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder without a project."""
    other = tmp_path / "elsewhere"
    other.mkdir()
    return other


@pytest.fixture(scope="session")
async def flux(client: Client, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Flux]:
    """Flux's controllers, for all tests of the run."""
    programs = fluxcd.programs()
    assert programs is not None, "modules that need them call flux.need()"
    async with fluxcd.running(client, kubeconfig, tmp_path_factory.mktemp("flux"), programs) as started:
        yield started


@pytest.fixture
async def git_server(tmp_path: Path) -> AsyncIterator[GitServer]:
    """Flux reads no files."""
    async with serving_git(tmp_path) as server:
        yield server


@pytest.fixture
async def kept(flux: Flux, git_server: GitServer, repository: Repository, namespace: str) -> AsyncIterator[FluxVote]:
    """A Kustomization for a namespace, which does not exist yet."""
    found = FluxVote(flux, repository, namespace, f"{git_server.url}/{repository.folder.name}/.git")
    yield found
    await found.remove()
