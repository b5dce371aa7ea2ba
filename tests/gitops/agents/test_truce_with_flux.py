"""A truce with the real Flux: what it leaves alone, and that it gets everything back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from innerloop.gitops.agents import reconciling
from innerloop.gitops.agents.asks import SKIP
from innerloop.gitops.agents.making import refusal, wanted
from innerloop.gitops.agents.resuming import in_namespace, resume
from innerloop.kube import config, objects
from innerloop.kube.access import Impersonation
from innerloop.kube.client import Client, connect
from tests.deploy.conftest import binding, user_of
from tests.e2e.loop_command import loop
from tests.gitops.agents.flux import kustomization, need
from tests.gitops.agents.flux_vote import FluxVote
from tests.gitops.agents.sessions import is_developed as is_of_a_session
from tests.gitops.agents.sessions import killed, project_in
from tests.gitops.agents.vote import FILES, SETTINGS, WEB, watched
from tests.waiting import until

need()
pytestmark = pytest.mark.cluster

NEWER: dict[str, str | None] = {
    "vote/web.yaml": WEB.replace("value: git", "value: newer"),
    "vote/settings.yaml": SETTINGS,
}
WITHOUT: dict[str, str | None] = {
    "vote/web.yaml": None,
    "vote/settings.yaml": None,
    "vote/new.yaml": SETTINGS.replace("settings", "new"),
}
BROKEN = "{apiVersion: v1, kind: ConfigMap, metadata: {name: NotAName}}\n"


async def test_without_a_truce_a_change_is_undone(kept: FluxVote) -> None:
    await kept.start()
    await kept.develop()

    async def undone() -> bool:
        return not await kept.is_developed()

    await until(undone, timeout=30, what="the change is undone")


async def test_with_a_truce_no_state_of_what_is_developed_was_undone(kept: FluxVote) -> None:
    await kept.start()
    before = await kept.specs()
    truce = kept.truce()
    await truce.keep(await kept.steps())
    async with watched(kept.client, kept.settings) as settings, watched(kept.client, kept.web) as webs:
        await kept.develop()
        await truce.applied()
        await kept.flux.reconciled(kept.name)
        for files in (NEWER, WITHOUT):
            await kept.flux.applied(kept.name, await kept.publish(files))
            assert await kept.is_developed()
        assert (await objects.get(kept.client, kept.settings._replace(name="new")))["data"]["title"] == "git"
        assert await kept.specs() == before
    titles = [one["data"]["title"] for one in settings]
    assert titles == [*["git"] * titles.count("git"), *["dev"] * titles.count("dev")]
    commands = [one["spec"]["template"]["spec"]["containers"][0]["command"][1] for one in webs]
    assert commands == [*["1000"] * commands.count("1000"), *["2000"] * commands.count("2000")]
    await kept.publish({**FILES, "vote/new.yaml": None})
    assert [one.amiss for one in await truce.end()] == ["", ""]
    assert await kept.specs() == before
    assert await kept.is_as_in_git()


async def test_what_a_session_changed_is_given_back_though_git_is_the_same(kept: FluxVote) -> None:
    await kept.start()
    keys = (kept.web, kept.settings)
    before = [(await objects.get(kept.client, key))["metadata"].get("labels") for key in keys]
    truce = kept.truce()
    await truce.keep(await kept.steps())
    assert [(await kept.asked(key))[SKIP] for key in keys] == ["disabled", "disabled"]
    await kept.develop()
    assert [one.amiss for one in await truce.end()] == ["", ""]
    assert await kept.is_as_in_git()
    assert [await kept.asked(key) for key in keys] == [{}, {}]
    assert [(await objects.get(kept.client, key))["metadata"].get("labels") for key in keys] == before


async def test_of_two_sessions_the_last_one_gives_it_back(kept: FluxVote) -> None:
    await kept.start()
    first, second = kept.truce(), kept.truce()
    steps = await kept.steps()
    await first.keep(steps)
    await second.keep(steps)
    await kept.develop()
    assert all(one.holders for one in await first.end())
    await kept.flux.reconciled(kept.name)
    assert await kept.is_developed()
    assert [one.amiss for one in await second.end()] == ["", ""]
    assert await kept.is_as_in_git()


async def test_a_kustomization_below_another_one_is_left_as_it_is(kept: FluxVote) -> None:
    """The parent applies the Kustomization itself from git, again and again."""
    child = kept.flux.manifest(kept.name, kept.spec)
    commit = await kept.publish({**FILES, "apps/vote.yaml": yaml.safe_dump(child)})
    spec = kustomization(kept.name, "./apps", kept.flux.namespace)
    await kept.flux.create(kept.parent, spec)
    await kept.flux.applied(kept.parent, commit)
    await kept.flux.applied(kept.name, commit)
    before = await kept.specs(kept.parent)
    truce = kept.truce()
    await truce.keep(await kept.steps())
    await kept.develop()
    for name in (kept.parent, kept.name, kept.parent):
        await kept.flux.reconciled(name)
    assert await kept.is_developed()
    # the child goes, with all that it applied
    commit = await kept.publish({"apps/vote.yaml": None, "apps/none.yaml": SETTINGS})
    await kept.flux.applied(kept.parent, commit)
    await kept.flux.delete(kept.name)
    assert await kept.is_developed()
    commit = await kept.publish({"apps/vote.yaml": yaml.safe_dump(child), "apps/none.yaml": None})
    await kept.flux.applied(kept.parent, commit)
    await kept.flux.applied(kept.name, commit)
    assert [one.amiss for one in await truce.end()] == ["", ""]
    assert await kept.specs(kept.parent) == before
    assert await kept.is_as_in_git()


async def test_a_kustomization_that_fails_is_not_waited_for_and_told_in_the_end(kept: FluxVote) -> None:
    await kept.start()
    await kept.publish({"vote/broken.yaml": BROKEN})
    await kept.flux.reconciled(kept.name)
    truce = kept.truce()
    await truce.keep(await kept.steps())
    assert kept.events == []
    await kept.develop()
    ended = await truce.end()
    assert all("NotAName" in one.amiss for one in ended), ended
    assert await kept.is_developed()
    await kept.publish({"vote/broken.yaml": None})
    (standing,) = await in_namespace(kept.client, kept.namespace)
    assert [one.amiss for one in await resume(kept.client, standing)] == ["", ""]
    assert await kept.is_as_in_git()


async def test_a_check_of_health_is_not_waited_for(kept: FluxVote, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take minutes, and nothing is applied meanwhile."""
    monkeypatch.setattr(reconciling, "RECONCILED_SECONDS", 0.5)
    await kept.start(wait=True, timeout="20s")
    never = WEB.replace("web", "never").replace("busybox:1.36", "busybox:none")
    await kept.publish({"vote/never.yaml": never})

    async def is_checking() -> bool:
        conditions = (await kept.flux.get(kept.name))["status"]["conditions"]
        return any(one["message"].startswith("Running health checks") for one in conditions)

    await until(is_checking, what="health is checked")
    truce = kept.truce()
    await truce.keep(await kept.steps())
    assert kept.events == []
    assert all("still waits for the health" in one.amiss for one in await truce.end())


async def test_what_git_no_longer_has_in_the_end_is_told(kept: FluxVote) -> None:
    await kept.start()
    truce = kept.truce()
    await truce.keep(await kept.steps())
    await kept.flux.applied(kept.name, await kept.publish(WITHOUT))
    ended = await truce.end()
    assert all("is no longer in git" in one.amiss for one in ended), ended


@pytest.fixture
async def folder(kept: FluxVote, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.delenv("LOOP_CONTEXT", raising=False)
    return await project_in(tmp_path / "vote", kept.namespace)


async def test_a_killed_session_is_ended_by_doctor_from_another_folder(
    kept: FluxVote, folder: Path, elsewhere: Path
) -> None:
    await kept.start()
    before = await kept.specs()
    async with watched(kept.client, kept.web) as webs:
        await killed(folder)
        for files in (WITHOUT, {**FILES, "vote/new.yaml": None}):
            await kept.flux.applied(kept.name, await kept.publish(files))
    developed = [is_of_a_session(one) for one in webs]
    assert developed[-1]
    assert developed == sorted(developed)
    assert "loop dev of vote" in (await loop("doctor", cwd=elsewhere)).stdout
    ended = await loop("doctor", "--resume", cwd=elsewhere)
    # its exit code is also about what others left in this cluster
    assert "as before" in ended.stdout, ended.stdout + ended.stderr
    assert await kept.specs() == before
    assert [await kept.asked(key) for key in (kept.web, kept.settings)] == [{}, {}]
    assert await kept.is_as_in_git()


async def test_a_deployment_holds_until_it_is_purged(kept: FluxVote, folder: Path) -> None:
    await kept.start()
    before = await kept.specs()
    deployed = await loop("deploy", cwd=folder)
    assert deployed.code == 0, deployed.stdout + deployed.stderr
    await kept.flux.reconciled(kept.name)
    assert (await objects.get(kept.client, kept.settings))["data"]["title"] == "dev"
    (told,) = json.loads((await loop("status", "-o", "json", cwd=folder)).stdout)["agents"]
    assert (told["agent"], told["applier"]) == ("Flux", f"Kustomization/{kept.name}")
    assert told["undoes"] == "every 2s, and with each commit"
    (waits,) = told["waits"]
    assert set(waits["objects"]) == {"Deployment/web", "ConfigMap/settings"}
    purged = await loop("purge", cwd=folder)
    assert purged.code == 0, purged.stdout + purged.stderr
    assert await kept.specs() == before
    assert [await kept.asked(key) for key in (kept.web, kept.settings)] == [{}, {}]
    assert await kept.is_as_in_git()


@pytest.fixture
async def developer(kept: FluxVote, kubeconfig: Path) -> AsyncIterator[Client]:
    """May change the namespace, and knows nothing of agents."""
    user, metadata = user_of(kept.namespace), {"name": "developer", "namespace": kept.namespace}
    await objects.create(kept.client, binding("RoleBinding", "edit", metadata, user))
    access = config.access(config.load([kubeconfig]), impersonate=Impersonation(user))
    async with connect(access) as connected:
        yield connected


async def test_the_right_to_change_the_object_is_enough(kept: FluxVote, developer: Client) -> None:
    await kept.start(interval="1h")
    found = await wanted(developer, [kept.web, kept.settings])
    assert refusal(found, kept.namespace) is None
    truce = kept.truce(client=developer)
    await truce.keep(found.steps)
    await kept.develop()
    await kept.flux.reconciled(kept.name)
    assert await kept.is_developed()
    assert all("at its interval" in one.amiss for one in await truce.end())
    await kept.flux.reconciled(kept.name)
    assert (await objects.get(kept.client, kept.settings))["data"] == {"title": "git", "other": "git", "extra": "dev"}


async def test_what_somebody_suspended_meanwhile_keeps_what_the_session_set(kept: FluxVote) -> None:
    """Without it, what only the session had set would be missing until Flux goes on."""
    await kept.start()
    truce = kept.truce()
    await truce.keep(await kept.steps())
    await kept.develop()
    await objects.patch(kept.client, kept.flux.key(kept.name), {"spec": {"suspend": True}})
    assert all("is suspended" in one.amiss for one in await truce.end())
    assert await kept.is_developed()
