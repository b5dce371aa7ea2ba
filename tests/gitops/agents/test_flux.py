"""What is asked of Flux, on a cluster with its kinds; its kustomize-controller is played by the test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from innerloop.events import Event, Notice
from innerloop.gitops.agents import reconciling
from innerloop.gitops.agents.asks import SKIP
from innerloop.gitops.agents.making import wanted
from innerloop.gitops.agents.resuming import in_namespace, resume
from innerloop.gitops.agents.truce import Truce, new_session
from innerloop.kube import config, objects
from innerloop.kube.access import Impersonation
from innerloop.kube.client import Client, connect
from innerloop.kube.errors import NotFound
from innerloop.kube.watching import watch
from innerloop.manifest import ObjectKey
from tests.deploy.conftest import binding, user_of
from tests.gitops.agent_kinds import FLUX, HELM, WHEN, ensure_kinds
from tests.gitops.agents import marked
from tests.gitops.agents.vote import text

pytestmark = pytest.mark.cluster

SPECS: dict[str, dict[str, Any]] = {
    "Kustomization": {"sourceRef": {"kind": "GitRepository", "name": "vote"}, "prune": True},
    "HelmRelease": {"chartRef": {"kind": "HelmChart", "name": "vote"}},
}
"""What their definitions ask for."""
REQUESTED = "reconcile.fluxcd.io/requestedAt"
KUSTOMIZATION = pytest.mark.parametrize("applier", [(FLUX, "Kustomization")], indirect=True)


class Applier:
    """A Kustomization or HelmRelease with one ConfigMap, which it applies whenever it is asked to."""

    def __init__(self, client: Client, namespace: str, api_version: str, kind: str) -> None:
        self.client = client
        self.key = ObjectKey(api_version, kind, namespace, "vote")
        self.settings = ObjectKey("v1", "ConfigMap", namespace, "settings")
        self.broken = ""
        """Why it cannot apply what git has."""
        self.events: list[Event] = []

    async def create(self, **spec: Any) -> None:
        metadata = {"name": self.key.name, "namespace": self.key.namespace}
        applier = {"apiVersion": self.key.api_version, "kind": self.key.kind, "metadata": metadata}
        wanted = {"interval": "5m", **SPECS[self.key.kind], **spec}
        await objects.create(self.client, {**applier, "spec": wanted})
        await self.apply()

    async def reconcile(self) -> None:
        """What its controller does at its interval, and on request."""
        if not (await self.get())["spec"].get("suspend"):
            await self.apply()

    async def apply(self) -> None:
        """As Flux does: server-side, over all others, unless it is told to leave the object alone."""
        with contextlib.suppress(NotFound):
            live = await objects.get(self.client, self.settings)
            if (live["metadata"].get("annotations") or {}).get(SKIP) == "disabled":
                return
        group = self.key.group.partition(".")[0]
        labels = marked.fluxed(group, self.key.name, self.key.namespace)
        metadata = {"name": "settings", "namespace": self.key.namespace, "labels": labels}
        object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"title": "git"}}
        await objects.apply(self.client, object, manager=f"{group}-controller", force=True)

    async def get(self) -> dict[str, Any]:
        return await objects.get(self.client, self.key)

    async def data(self) -> dict[str, str]:
        found: dict[str, str] = (await objects.get(self.client, self.settings))["data"]
        return found

    @contextlib.asynccontextmanager
    async def reconciling(self) -> AsyncIterator[None]:
        """Reconcile on request while the body runs."""

        async def follow() -> None:
            handled = ""
            key = self.key
            events = watch(self.client, key.api_version, key.kind, namespace=key.namespace, name=key.name)
            async with aclosing(events):
                async for _, object in events:
                    annotations = (object.get("metadata") or {}).get("annotations") or {}
                    token = annotations.get(REQUESTED, handled)
                    if token != handled and not object["spec"].get("suspend"):
                        ready = condition("Ready", "False" if self.broken else "True", "BuildFailed", self.broken)
                        if not self.broken:
                            await self.apply()
                        handled = token
                        await self.tell(lastHandledReconcileAt=token, conditions=[ready])

        async with asyncio.TaskGroup() as group:
            task = group.create_task(follow(), name="reconcile")
            yield
            task.cancel()

    async def tell(self, **status: Any) -> None:
        await objects.patch(self.client, self.key, {"status": status}, subresource="status")

    def truce(self, client: Client | None = None) -> Truce:
        session = new_session("loop dev of vote", Path("/src/vote"), lasts=timedelta(minutes=10))
        return Truce(client or self.client, session, (self.key.namespace,), self.events.append)

    async def develop(self) -> None:
        metadata = {"name": "settings", "namespace": self.key.namespace}
        object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"title": "dev", "more": "dev"},
        }
        await objects.apply(self.client, object, force=True)


def condition(type: str, status: str, reason: str, message: str) -> dict[str, str]:
    return {"type": type, "status": status, "reason": reason, "message": message, **WHEN}


@pytest.fixture(params=[(FLUX, "Kustomization"), (HELM, "HelmRelease")], ids=["Kustomization", "HelmRelease"])
async def applier(client: Client, namespace: str, request: pytest.FixtureRequest) -> Applier:
    await ensure_kinds(client)
    return Applier(client, namespace, *request.param)


async def test_flux_leaves_alone_what_is_developed_and_gets_it_back(applier: Applier) -> None:
    await applier.create()
    before = text((await applier.get())["spec"])
    truce = applier.truce()
    async with applier.reconciling():
        await truce.keep((await wanted(applier.client, [applier.settings])).steps)
        await applier.develop()
        await applier.reconcile()
        assert await applier.data() == {"title": "dev", "more": "dev"}
        assert [one.amiss for one in await truce.end()] == [""]
    assert text((await applier.get())["spec"]) == before
    assert await applier.data() == {"title": "git"}
    assert SKIP not in ((await objects.get(applier.client, applier.settings))["metadata"].get("annotations") or {})


async def test_without_a_truce_flux_overwrites_it(applier: Applier) -> None:
    await applier.create()
    await applier.develop()
    await applier.reconcile()
    assert await applier.data() == {"title": "git", "more": "dev"}


@KUSTOMIZATION
async def test_a_kustomization_is_not_changed_for_one_object(applier: Applier) -> None:
    await applier.create()
    before = text((await applier.get())["spec"])
    truce = applier.truce()
    await truce.keep((await wanted(applier.client, [applier.settings])).steps)
    assert text((await applier.get())["spec"]) == before
    annotations = (await objects.get(applier.client, applier.settings))["metadata"]["annotations"]
    assert annotations[SKIP] == "disabled"


@pytest.mark.parametrize("applier", [(HELM, "HelmRelease")], indirect=True)
async def test_a_release_is_suspended(applier: Applier) -> None:
    await applier.create()
    truce = applier.truce()
    await truce.keep((await wanted(applier.client, [applier.settings])).steps)
    assert (await applier.get())["spec"]["suspend"] is True


@KUSTOMIZATION
async def test_a_kustomization_that_may_not_be_looked_at_leaves_the_object_too(
    applier: Applier, kubeconfig: Path
) -> None:
    await applier.create()
    # only what is on the object may be changed
    rights = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}
    async with as_developer(applier, kubeconfig, rights) as developer:
        found = await wanted(developer, [applier.settings])
        assert (found.forbidden, found.unseen) == ((), ())
        truce = applier.truce(developer)
        await truce.keep(found.steps)
        await applier.develop()
        await applier.reconcile()
        assert await applier.data() == {"title": "dev", "more": "dev"}
        (ended,) = await truce.end()
    assert "sees to it at its interval" in ended.amiss
    await applier.reconcile()
    assert (await applier.data())["title"] == "git"


@contextlib.asynccontextmanager
async def as_developer(applier: Applier, kubeconfig: Path, rights: dict[str, Any]) -> AsyncIterator[Client]:
    """Someone with some rights in the namespace, and no others."""
    group, metadata = "rbac.authorization.k8s.io", {"name": "developer", "namespace": applier.key.namespace}
    role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata}
    await objects.create(applier.client, {**role, "rules": [rights]})
    reference = {"apiGroup": group, "kind": "Role", "name": "developer"}
    user = user_of(applier.key.namespace)
    bound = {**binding("RoleBinding", "developer", metadata, user), "roleRef": reference}
    await objects.create(applier.client, bound)
    access = config.access(config.load([kubeconfig]), impersonate=Impersonation(user))
    async with connect(access) as connected:
        yield connected


async def test_what_is_suspended_already_is_left_so(applier: Applier) -> None:
    await applier.create(suspend=True)
    assert (await wanted(applier.client, [applier.settings])).steps == ()


@KUSTOMIZATION
@pytest.mark.parametrize(
    ("reason", "message"),
    [("ProgressingWithRetry", "Detecting drift for revision main"), ("Progressing", "Running health checks for main")],
    ids=["between failed attempts", "behind an apply"],
)
async def test_what_applies_nothing_is_not_waited_for(applier: Applier, reason: str, message: str) -> None:
    await applier.create()
    await applier.tell(conditions=[condition("Reconciling", "True", reason, message)])
    await applier.truce().keep((await wanted(applier.client, [applier.settings])).steps)
    assert applier.events == []


@KUSTOMIZATION
async def test_what_is_being_applied_is_waited_for_and_told(applier: Applier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciling, "NUDGE_SECONDS", 0.1)
    monkeypatch.setattr(reconciling, "HEARD_SECONDS", 0.3)
    await applier.create()
    await applier.tell(conditions=[condition("Reconciling", "True", "Progressing", "Detecting drift for main")])
    await applier.truce().keep((await wanted(applier.client, [applier.settings])).steps)
    (told,) = applier.events
    assert isinstance(told, Notice)
    assert "is still being applied" in told.message


async def developed(applier: Applier) -> Truce:
    """A truce behind which the object is developed."""
    await applier.create()
    truce = applier.truce()
    await truce.keep((await wanted(applier.client, [applier.settings])).steps)
    await applier.develop()
    return truce


@KUSTOMIZATION
async def test_where_flux_cannot_apply_what_git_has_the_object_keeps_what_the_session_set(applier: Applier) -> None:
    """Without it, what git has and the session had taken over would be missing."""
    truce = await developed(applier)
    applier.broken = "no such file: web.yaml"
    async with applier.reconciling():
        (ended,) = await truce.end()
        assert "no such file: web.yaml" in ended.amiss
        assert await applier.data() == {"title": "dev", "more": "dev"}
        applier.broken = ""
        assert await resumed(applier) == [""]
    assert await applier.data() == {"title": "git"}


async def resumed(applier: Applier) -> list[str]:
    """What is amiss when the next command ends the only truce of the namespace."""
    (standing,) = await in_namespace(applier.client, applier.key.namespace)
    return [one.amiss for one in await resume(applier.client, standing)]


@KUSTOMIZATION
async def test_what_somebody_suspended_meanwhile_keeps_what_the_session_set(applier: Applier) -> None:
    truce = await developed(applier)
    await objects.patch(applier.client, applier.key, {"spec": {"suspend": True}})
    (ended,) = await truce.end()
    assert "is suspended" in ended.amiss
    assert await applier.data() == {"title": "dev", "more": "dev"}
    await objects.patch(applier.client, applier.key, {"spec": {"suspend": None}})
    async with applier.reconciling():
        assert await resumed(applier) == [""]
    assert await applier.data() == {"title": "git"}


@KUSTOMIZATION
async def test_what_flux_no_longer_applies_keeps_what_the_session_set(applier: Applier) -> None:
    truce = await developed(applier)
    await applier.tell(inventory={"entries": []})
    async with applier.reconciling():
        (ended,) = await truce.end()
    assert "is no longer in git" in ended.amiss
    assert await in_namespace(applier.client, applier.key.namespace) == []
    assert (await applier.data())["more"] == "dev"
