"""``loop dev``, ``deploy``, ``purge`` and ``doctor`` in a namespace that the real Argo CD heals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from innerloop.gitops.agents.records import record_of
from innerloop.kube import objects
from tests.e2e.loop_command import Session, developing, loop
from tests.gitops.agents.sessions import is_developed, killed, project_in
from tests.gitops.agents.vote import FILES, SETTINGS, WEB, Vote, watched
from tests.waiting import until

pytestmark = pytest.mark.cluster


@pytest.fixture
async def folder(vote: Vote, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.delenv("LOOP_CONTEXT", raising=False)
    return await project_in(tmp_path / "vote", vote.namespace)


async def test_no_change_of_a_session_is_undone_while_it_lives(vote: Vote, folder: Path) -> None:
    await vote.start()
    before = await vote.spec()
    async with watched(vote.client, vote.web) as webs, watched(vote.client, vote.settings) as settings:
        async with developing(folder) as session:
            await session.next("ready", timeout=120)
            await edits_and_commits(vote, folder, session)
            developed = [is_developed(one) for one in webs]
            assert developed == sorted(developed)
            assert developed[-1]
            titles = [one["data"]["title"] for one in settings]
            assert titles == ["git", *["dev"] * (len(titles) - 1)]
            assert await session.interrupt() in (0, 130)
    assert await vote.spec() == before
    await until(vote.is_as_in_git, what="all is as git has it")


async def edits_and_commits(vote: Vote, folder: Path, session: Session) -> None:
    """A new version of the manifests, and commits that change the same fields."""
    vote.repository.commit({"vote/web.yaml": WEB.replace("value: git", "value: newer")})
    await vote.argo.refresh(vote.name)
    behind = len(session.events)
    (folder / "deploy/settings.yaml").write_text(SETTINGS.replace("title: git", "title: dev, extra: edited"))
    await session.next("ready", behind=behind)
    await vote.argo.refresh(vote.name)
    vote.repository.commit(FILES)
    await vote.argo.refresh(vote.name)
    assert (await objects.get(vote.client, vote.settings))["data"]["extra"] == "edited"


async def test_a_killed_session_is_ended_by_doctor_from_another_folder(
    vote: Vote, folder: Path, elsewhere: Path
) -> None:
    await vote.start()
    before = await vote.spec()
    await killed(folder)
    await vote.argo.refresh(vote.name)
    assert is_developed(await objects.get(vote.client, vote.web))
    assert await vote.spec() != before
    told = await loop("doctor", cwd=elsewhere)
    assert "loop dev of vote" in told.stdout
    ended = await loop("doctor", "--resume", cwd=elsewhere)
    assert ended.code == 0, ended.stdout + ended.stderr
    assert await vote.spec() == before
    assert await vote.is_as_in_git()


async def test_a_killed_session_is_ended_by_the_next_command_of_the_project(vote: Vote, folder: Path) -> None:
    await vote.start()
    before = await vote.spec()
    await killed(folder)
    told = await loop("status", cwd=folder)
    assert "did not give back what it held: its process is gone" in told.stderr
    assert await vote.spec() == before
    assert await vote.is_as_in_git()


async def test_status_tells_who_undoes_what_and_who_is_waited_for(vote: Vote, folder: Path) -> None:
    await vote.start()
    async with developing(folder) as session:
        await session.next("ready", timeout=120)
        (told,) = json.loads((await loop("status", "-o", "json", cwd=folder)).stdout)["agents"]
        assert (told["agent"], told["applier"]) == ("Argo CD", f"Application/{vote.name}")
        assert told["undoes"] == "within seconds"
        (waits,) = told["waits"]
        assert waits["reason"] == "loop dev of vote"
        assert set(waits["objects"]) == {"Deployment/web", "ConfigMap/settings"}
        shown = (await loop("status", cwd=folder)).stdout
        assert "undoes changes within seconds" in shown
        assert "but not those of loop dev of vote by" in shown


async def test_a_deployment_holds_until_it_is_purged(vote: Vote, folder: Path) -> None:
    await vote.start()
    before = await vote.spec()
    deployed = await loop("deploy", cwd=folder)
    assert deployed.code == 0, deployed.stdout + deployed.stderr
    again = await loop("deploy", cwd=folder)
    assert again.code == 0, again.stdout + again.stderr
    record = record_of(await vote.argo.get(vote.name))
    assert record is not None
    (party,) = record.parties
    assert party.session.process == ""
    await vote.argo.refresh(vote.name)
    assert (await objects.get(vote.client, vote.settings))["data"]["title"] == "dev"
    purged = await loop("purge", cwd=folder)
    assert purged.code == 0, purged.stdout + purged.stderr
    assert await vote.spec() == before
    assert await vote.is_as_in_git()


async def test_a_deployment_that_was_killed_is_ended_by_the_next_command(vote: Vote, folder: Path) -> None:
    await vote.start()
    before = await vote.spec()
    # never ready, so that it is killed while it waits
    (folder / "deploy/web.yaml").write_text(WEB.replace("1000", "2000").replace("busybox:1.36", "busybox:none"))
    async with developing(folder, command="deploy") as session:
        await session.next("step-done", step="apply", timeout=60)
        session.process.kill()
        await session.process.wait()
    told = await loop("status", cwd=folder)
    assert "loop deploy of vote" in told.stderr
    assert await vote.spec() == before
    assert await vote.is_as_in_git()


async def test_a_project_that_no_agent_applies_asks_nothing(vote: Vote, folder: Path) -> None:
    deployed = await loop("deploy", "-o", "json", cwd=folder)
    steps = {json.loads(line).get("step") for line in deployed.stdout.splitlines()}
    assert "apply" in steps
    assert "truce" not in steps
    assert (await loop("purge", cwd=folder)).code == 0
