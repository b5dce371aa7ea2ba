from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from innerloop.kube import objects
from innerloop.kube.errors import NotFound
from tests.gitops.agents.argocd import ArgoCD, Repository
from tests.gitops.agents.vote import Vote


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
