"""``loop doctor`` on a cluster with truces of others, and the rights of its CronJob."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from innerloop.gitops.agents.cronjob import NAMESPACE, manifests
from innerloop.gitops.agents.resuming import everywhere, resume
from innerloop.kube import config, objects
from innerloop.kube.access import Impersonation
from innerloop.kube.client import Client, connect
from innerloop.manifest import ObjectKey
from tests.deploy.deployment import unique
from tests.e2e.loop_command import loop
from tests.gitops.agents.test_resuming import ELSEWHERE, developed
from tests.gitops.agents.vote import Vote

pytestmark = pytest.mark.cluster


@pytest.fixture(autouse=True)
def _kubeconfig(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.delenv("LOOP_CONTEXT", raising=False)


async def test_what_may_still_live_elsewhere_is_left_and_told(vote: Vote, tmp_path: Path) -> None:
    truce = vote.truce(process=ELSEWHERE)
    before = await developed(vote, truce)
    left = await loop("doctor", "--resume", cwd=tmp_path)
    assert f"Application/{vote.name} in {vote.argo.namespace} may still be running" in left.stdout
    assert await vote.spec() != before
    assert await vote.is_developed()
    await truce.end()


async def test_all_gives_back_what_may_still_live_elsewhere(vote: Vote, tmp_path: Path) -> None:
    before = await developed(vote, vote.truce(process=ELSEWHERE))
    ended = await loop("doctor", "--resume", "--all", "--yes", cwd=tmp_path)
    assert ended.code == 0, ended.stdout + ended.stderr
    assert await vote.spec() == before
    assert await vote.is_as_in_git()


async def test_all_asks_before(vote: Vote, tmp_path: Path) -> None:
    truce = vote.truce(process=ELSEWHERE)
    before = await developed(vote, truce)
    asked = await loop("doctor", "--resume", "--all", cwd=tmp_path)
    assert asked.code != 0
    assert "Give back all of these?" in asked.stderr
    assert await vote.spec() != before
    await truce.end()


async def test_what_nobody_gives_back_is_a_finding(vote: Vote, tmp_path: Path) -> None:
    truce = vote.truce(minutes=-1)
    await developed(vote, truce)
    found = await loop("doctor", "-o", "json", cwd=tmp_path)
    (check,) = [one for one in json.loads(found.stdout) if one["name"] == "gitops"]
    assert not check["good"]
    assert check["hint"] == "loop doctor --resume"
    await truce.end()


@pytest.fixture
async def job(client: Client, kubeconfig: Path) -> AsyncIterator[Client]:
    """Has exactly the rights of the CronJob's account."""
    name = unique("innerloop-truce")
    role, binding = (one for one in yaml.safe_load_all(manifests()) if one["kind"].startswith("ClusterRole"))
    role["metadata"]["name"] = binding["metadata"]["name"] = binding["roleRef"]["name"] = name
    for one in (role, binding):
        await objects.create(client, one)
    account = Impersonation(f"system:serviceaccount:{NAMESPACE}:truce", ("system:authenticated",))
    async with connect(config.access(config.load([kubeconfig]), impersonate=account)) as connected:
        yield connected
    for one in (binding, role):
        await objects.delete(client, ObjectKey(one["apiVersion"], one["kind"], "", name))


async def test_the_rights_of_the_cron_job_are_enough(vote: Vote, job: Client) -> None:
    before = await developed(vote, vote.truce(minutes=-1, process=ELSEWHERE))
    (found,) = [one for one in await everywhere(job) if any(hold.key.name == vote.name for hold in one.holds)]
    assert found.over
    assert [one.amiss for one in await resume(job, found)] == [""]
    assert await vote.spec() == before
    assert await vote.is_as_in_git()
    assert not [one for one in await everywhere(job) if one.session.id == found.session.id]
