"""A truce with the real Argo CD: what it leaves alone, and that it gets everything back."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from innerloop.gitops.agents.asks import Pause
from innerloop.gitops.agents.holding import hold
from innerloop.gitops.agents.records import ANNOTATION, Record
from innerloop.gitops.agents.truce import new_session
from innerloop.kube import objects
from innerloop.kube.errors import NotFound
from tests.deploy.deployment import unique
from tests.gitops.agents.argocd import API_VERSION, source
from tests.gitops.agents.vote import FILES, SETTINGS, WEB, Vote, text, watched
from tests.waiting import until

pytestmark = pytest.mark.cluster


async def test_without_a_truce_a_change_is_undone(vote: Vote) -> None:
    await vote.start()
    await vote.develop()

    async def undone() -> bool:
        return not await vote.is_developed()

    await until(undone, timeout=30, what="the change is undone")


async def test_with_a_truce_no_state_of_what_is_developed_was_undone(vote: Vote) -> None:
    await vote.start()
    before = await vote.spec()
    truce = vote.truce()
    await truce.keep(await vote.steps())
    async with watched(vote.client, vote.settings) as settings, watched(vote.client, vote.web) as webs:
        await vote.develop()
        await truce.applied()
        await vote.argo.refresh(vote.name)
        await newer_commit(vote)
        await commit_without_what_is_developed(vote)
    titles = [one["data"]["title"] for one in settings]
    assert titles == [*["git"] * titles.count("git"), *["dev"] * titles.count("dev")]
    commands = [one["spec"]["template"]["spec"]["containers"][0]["command"][1] for one in webs]
    assert commands == [*["1000"] * commands.count("1000"), *["2000"] * commands.count("2000")]
    vote.repository.commit({**FILES, "vote/new.yaml": None})
    ended = await truce.end()
    assert [one.amiss for one in ended] == [""]
    assert await vote.spec() == before
    assert await vote.is_as_in_git()


async def newer_commit(vote: Vote) -> None:
    """One that changes what is developed, and what is not."""
    settings = SETTINGS.replace("other: git", "other: git, added: git").replace("title: git", "title: newer")
    commit = vote.repository.commit({"vote/web.yaml": WEB.replace("git", "newer"), "vote/settings.yaml": settings})
    await vote.argo.refresh(vote.name)
    await vote.argo.synced(vote.name, commit)
    assert await vote.is_developed()
    assert (await objects.get(vote.client, vote.settings))["data"]["added"] == "git"


async def commit_without_what_is_developed(vote: Vote) -> None:
    other = SETTINGS.replace("settings", "new")
    vote.repository.commit({"vote/web.yaml": None, "vote/settings.yaml": None, "vote/new.yaml": other})

    async def is_there() -> bool:
        await vote.argo.refresh(vote.name)
        with contextlib.suppress(NotFound):
            return bool(await objects.get(vote.client, vote.settings._replace(name="new")))
        return False

    await until(is_there, what="the commit is synced")
    await vote.argo.refresh(vote.name)
    assert await vote.is_developed()


async def test_what_a_session_changed_is_given_back_though_git_is_the_same(vote: Vote) -> None:
    await vote.start()
    before = await vote.argo.get(vote.name)
    truce = vote.truce()
    await truce.keep(await vote.steps())
    await vote.develop()
    assert [one.amiss for one in await truce.end()] == [""]
    assert await vote.is_as_in_git()
    after = await vote.argo.get(vote.name)
    assert text(after["spec"]) == text(before["spec"])
    assert after["metadata"].get("annotations") == before["metadata"].get("annotations")


async def test_an_application_that_does_not_heal_gets_it_back_too(vote: Vote) -> None:
    await vote.start(automated={"prune": True})
    truce = vote.truce()
    await truce.keep(await vote.steps())
    await vote.develop()
    assert [one.amiss for one in await truce.end()] == [""]
    assert await vote.is_as_in_git()


async def test_an_application_that_writes_objects_anew_is_paused_and_started_again(vote: Vote) -> None:
    await vote.start(automated={"prune": True, "selfHeal": True}, syncOptions=["Replace=true"])
    before = await vote.spec()
    truce = vote.truce()
    await truce.keep(await vote.steps())
    await vote.develop()
    vote.repository.commit({"vote/web.yaml": WEB.replace("git", "newer")})
    await vote.argo.refresh(vote.name)
    await vote.argo.refresh(vote.name)
    assert await vote.is_developed()
    vote.repository.commit(FILES)
    assert [one.amiss for one in await truce.end()] == [""]
    assert await vote.spec() == before
    assert await vote.is_as_in_git()


async def test_a_sync_by_hand_leaves_what_is_developed(vote: Vote) -> None:
    await vote.start()
    truce = vote.truce()
    await truce.keep(await vote.steps())
    await vote.develop()
    await truce.applied()
    await vote.argo.refresh(vote.name)
    sync = {"syncOptions": (await vote.argo.get(vote.name))["spec"]["syncPolicy"]["syncOptions"]}
    operation = {"initiatedBy": {"username": "colleague"}, "sync": sync}
    await objects.patch(vote.client, vote.argo.key(vote.name), {"operation": operation})
    await vote.argo.synced(vote.name)
    assert await vote.is_developed()
    await truce.end()


async def test_a_change_by_somebody_else_at_the_same_moment_is_kept(vote: Vote) -> None:
    await vote.start()
    key = vote.argo.key(vote.name)
    written: list[str] = []

    async def meanwhile(live: dict[str, Any], record: Record) -> None:
        if not written:
            theirs = {"metadata": {"labels": {"team": "shop"}}}
            await objects.patch(vote.client, key, theirs)
        written.append("")

    session = new_session("loop dev of vote", Path("/src/vote"), lasts=timedelta(minutes=10))
    await hold(vote.client, key, lambda record: record.joined(session, [Pause()]), announce=meanwhile)
    found = await vote.argo.get(vote.name)
    assert len(written) > 1
    assert found["metadata"]["labels"] == {"team": "shop"}
    assert "syncPolicy" not in found["spec"]


async def test_of_two_sessions_the_last_one_gives_it_back(vote: Vote) -> None:
    await vote.start()
    before = await vote.spec()
    first, second = vote.truce(), vote.truce()
    steps = await vote.steps()
    await first.keep(steps)
    await second.keep(steps)
    await vote.develop()
    await first.applied()
    await second.applied()
    (ended,) = await first.end()
    assert ended.holders
    await vote.argo.refresh(vote.name)
    assert await vote.is_developed()
    await second.end()
    assert await vote.spec() == before
    assert await vote.is_as_in_git()


async def test_a_session_joins_another_that_has_paused_the_application(vote: Vote) -> None:
    await vote.start(automated={"prune": True, "selfHeal": True}, syncOptions=["Replace=true"])
    before = await vote.spec()
    first, second = vote.truce(), vote.truce()
    await first.keep(await vote.steps())
    assert await second.keep(await vote.steps())
    await vote.develop()
    await first.end()
    await vote.argo.refresh(vote.name)
    assert await vote.is_developed()
    await second.end()
    assert await vote.spec() == before
    assert await vote.is_as_in_git()


async def test_the_parent_of_an_application_leaves_the_change_in_it(vote: Vote) -> None:
    """App of apps: both heal themselves, the child from git too."""
    spec = source(vote.repository, "vote", vote.namespace)
    metadata = {"name": vote.name, "namespace": vote.argo.namespace}
    child = {"apiVersion": API_VERSION, "kind": "Application", "metadata": metadata, "spec": spec}
    vote.repository.commit({**FILES, "apps/vote.yaml": yaml.safe_dump(child)})
    root = unique("root")
    await vote.argo.create(root, source(vote.repository, "apps", vote.argo.namespace))
    await vote.argo.synced(root)
    await vote.argo.synced(vote.name)
    parent = text((await vote.argo.get(root))["spec"])
    before = await vote.spec()
    truce = vote.truce()
    await truce.keep(await vote.steps())
    await vote.develop()
    await truce.applied()
    held = await vote.spec()
    for name in (root, vote.name, root):
        await vote.argo.refresh(name)
    assert await vote.spec() == held
    assert await vote.is_developed()
    assert {one.amiss for one in await truce.end()} == {""}
    assert await vote.spec() == before
    assert text((await vote.argo.get(root))["spec"]) == parent
    assert await vote.is_as_in_git()
    await objects.delete(vote.client, vote.argo.key(root))


async def test_an_application_set_leaves_the_change_in_its_application(vote: Vote) -> None:
    await generated(vote)
    # its controller writes it with fields of its own when it has reconciled it
    await vote.argo.refresh(vote.name, "ApplicationSet")
    parent = text((await vote.argo.get(vote.name, "ApplicationSet"))["spec"])
    before = await vote.spec()
    truce = vote.truce()
    await truce.keep(await vote.steps())
    await vote.develop()
    await truce.applied()
    held = await vote.argo.get(vote.name)
    # any change makes it look at its Applications
    labels = {"metadata": {"labels": {"touched": "yes"}}}
    await objects.patch(vote.client, vote.argo.key(vote.name, "ApplicationSet"), labels)
    await vote.argo.refresh(vote.name)
    found = await vote.argo.get(vote.name)
    assert text(found["spec"]) == text(held["spec"])
    assert found["metadata"]["annotations"][ANNOTATION] == held["metadata"]["annotations"][ANNOTATION]
    assert await vote.is_developed()
    assert {one.amiss for one in await truce.end()} == {""}
    assert await vote.spec() == before
    assert text((await vote.argo.get(vote.name, "ApplicationSet"))["spec"]) == parent
    assert await vote.is_as_in_git()
    await objects.delete(vote.client, vote.argo.key(vote.name, "ApplicationSet"))


async def generated(vote: Vote) -> None:
    """The Application, made by an ApplicationSet of its name."""
    vote.repository.commit(FILES)
    template = {"metadata": {"name": vote.name}, "spec": source(vote.repository, "vote", vote.namespace)}
    spec = {"generators": [{"list": {"elements": [{}]}}], "template": template}
    await vote.argo.create(vote.name, spec, kind="ApplicationSet")

    async def is_there() -> bool:
        with contextlib.suppress(NotFound):
            return bool(await vote.argo.get(vote.name))
        return False

    await until(is_there, what="the Application is generated")
    await vote.argo.synced(vote.name)
