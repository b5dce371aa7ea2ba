"""Who may not ask agents to wait is told what would happen, and how to go on."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from innerloop.engine.scope import Scope
from innerloop.engine.truces import guarded
from innerloop.errors import LoopError
from innerloop.events import Event, Notice, StepStarted
from innerloop.kube import config, objects
from innerloop.kube.access import Impersonation
from innerloop.kube.client import Client, connect
from innerloop.manifest import Manifest, ObjectKey
from innerloop.project import Project
from tests.deploy.conftest import binding, user_of
from tests.gitops.agents.vote import Vote

pytestmark = pytest.mark.cluster

RBAC = "rbac.authorization.k8s.io/v1"


@pytest.fixture
async def developer(vote: Vote, kubeconfig: Path) -> AsyncIterator[Client]:
    """May change the namespace, and knows nothing of agents."""
    metadata = {"name": "developer", "namespace": vote.namespace}
    await objects.create(vote.client, binding("RoleBinding", "edit", metadata, user_of(vote.namespace)))
    access = config.access(config.load([kubeconfig]), impersonate=Impersonation(user_of(vote.namespace)))
    async with connect(access) as connected:
        yield connected


@contextlib.asynccontextmanager
async def allowed(vote: Vote, *verbs: str) -> AsyncIterator[None]:
    """Let the developer do something with Applications while the body runs."""
    rules = [{"apiGroups": ["argoproj.io"], "resources": ["applications"], "verbs": list(verbs)}]
    metadata = {"name": vote.name}
    await objects.create(vote.client, {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": metadata, "rules": rules})
    await objects.create(vote.client, binding("ClusterRoleBinding", vote.name, metadata, user_of(vote.namespace)))
    yield
    for kind in ("ClusterRoleBinding", "ClusterRole"):
        await objects.delete(vote.client, ObjectKey(RBAC, kind, "", vote.name))


async def before_apply(vote: Vote, client: Client, folder: Path, *, force: bool = False) -> list[Event]:
    """What a session tells before its first apply."""
    project = Project(name="vote", file=folder / "loop.yaml", folder=folder, namespace=vote.namespace)
    scope = Scope(client, "", vote.namespace, "", (), vote.events.append)
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"title": "dev"}}
    async with guarded(scope, project, force=force) as guard:
        await guard.before_apply([Manifest(settings)], vote.namespace)
    return vote.events


async def test_who_may_not_look_at_the_application_is_told_its_name(
    vote: Vote, developer: Client, tmp_path: Path
) -> None:
    await vote.start()
    with pytest.raises(LoopError) as refused:
        await before_apply(vote, developer, tmp_path)
    assert f"Argo CD's Application {vote.name} may undo changes of ConfigMap/settings" in (refused.value.detail or "")
    assert "loop use namespace NAME" in (refused.value.hint or "")


async def test_who_may_only_look_is_told_when_changes_are_undone(vote: Vote, developer: Client, tmp_path: Path) -> None:
    await vote.start()
    before = await vote.spec()
    async with allowed(vote, "get", "list"):
        with pytest.raises(LoopError) as refused:
            await before_apply(vote, developer, tmp_path)
    told = f"Application/{vote.name} in {vote.argo.namespace} undoes changes within seconds"
    assert told in (refused.value.detail or "")
    assert await vote.spec() == before


async def test_with_force_it_is_told_and_the_session_goes_on(vote: Vote, developer: Client, tmp_path: Path) -> None:
    await vote.start()
    told = await before_apply(vote, developer, tmp_path, force=True)
    # truces that other sessions have left are told, too
    (warning,) = [one for one in told if isinstance(one, Notice) and vote.name in one.detail]
    assert warning.level == "warning"


async def test_the_right_to_patch_the_application_is_enough(vote: Vote, developer: Client, tmp_path: Path) -> None:
    await vote.start()
    before = await vote.spec()
    async with allowed(vote, "get", "list", "patch"):
        told = await before_apply(vote, developer, tmp_path)
    assert [one.step for one in told if isinstance(one, StepStarted)] == ["truce", "truce"]
    assert await vote.spec() == before


async def test_what_no_agent_undoes_needs_no_right(vote: Vote, developer: Client, tmp_path: Path) -> None:
    assert await before_apply(vote, developer, tmp_path) == []
