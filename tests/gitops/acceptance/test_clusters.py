"""What clusters run after each command, Argo CD's own controllers in between."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from innerloop.build import registry
from innerloop.build.destination import advertised_registry
from innerloop.kube.client import Client
from innerloop.kube.errors import NotFound
from innerloop.manifest import TARGET_ANNOTATION
from tests.e2e.loop_command import developing
from tests.gitops.acceptance.poll import Clone, Followed, Poll
from tests.gitops.agents.argocd import ArgoCD
from tests.gitops.agents.vote import text, watched
from tests.gitops.forge.repository import Style
from tests.waiting import until

pytestmark = [
    pytest.mark.cluster,
    # the controllers may have to be compiled first
    pytest.mark.timeout(900),
]


OTHERS = "{apiVersion: v1, kind: ConfigMap, metadata: {name: others}}\n"


@pytest.fixture
async def digest(client: Client) -> str:
    """Of the image in the cluster's registry."""
    found = await advertised_registry(client)
    assert found is not None
    async with registry.connect(found.prefix, plain_http=found.plain_http) as asked:
        digest = await asked.digest("library/busybox", "1.36")
    assert digest is not None
    return digest


@pytest.fixture(autouse=True)
def _cluster(user: None, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))


@pytest.fixture
async def dev(poll: Poll, argo: ArgoCD) -> AsyncIterator[Followed]:
    """The environment, which Argo CD keeps, with nothing in it yet."""
    found = Followed(poll, argo, "dev")
    await found.start()
    yield found
    await found.stop()


async def test_step_1_deployed_twice_with_different_values_the_cluster_shows_the_second_title(
    laptop: Clone, namespace: str
) -> None:
    await laptop.loop("use", "namespace", namespace)
    for title in ("Tea or coffee?", "Milk or sugar?"):
        laptop.write(".env", f"TITLE={title}\n")
        await laptop.loop("deploy")
        assert await laptop.loop("exec", "web", "wget", "-qO-", "http://localhost:8000/") == f"{title}\n"
        assert laptop.changes == ""
    await laptop.loop("purge")


@pytest.mark.parametrize(
    "style", [pytest.param("merge", id="step_4_by_a_merge"), pytest.param("squash", id="step_5_by_a_squash")]
)
async def test_a_merge_is_applied_and_told_on_both_sides_and_stage_is_next(
    poll: Poll, laptop: Clone, dev: Followed, style: Style
) -> None:
    commit = await laptop.retitle("Tea or coffee?")
    options = ("--wait", "--timeout", "90", "--report")
    async with developing(laptop.folder, "dev", *options, command="promote") as promotion:
        waits = ("pending", "in pull request")
        await until(lambda: poll.source.status(commit, "innerloop/dev") == waits, what="the commit waits for the merge")
        merged = poll.ops.merge(style)
        await dev.applied(merged)
        await dev.expose()
        assert await promotion.process.wait() == 0, promotion.tail()
    assert poll.source.status(commit, "innerloop/dev") == ("success", "healthy")
    assert poll.ops.status(merged, "innerloop/dev") == ("success", "healthy")

    laptop.write("env/dev.env", "TITLE=Not yet\n")
    await laptop.loop("promote", "stage", "--from", "dev")
    pull = poll.ops.pulls[-1]
    assert (pull.head, pull.title) == ("loop/stage/poll", "Promote poll to stage: Ask for Tea or coffee?")
    assert poll.title("stage", pull.head) == "Cats or dogs? (stage)"


async def test_step_8_what_is_taken_out_of_the_templates_is_gone_from_the_repository_and_the_cluster(
    poll: Poll, laptop: Clone, dev: Followed
) -> None:
    await laptop.loop("promote", "dev")
    await dev.applied(poll.ops.merge())
    assert "ingress-web.yaml" in poll.texts("dev")
    await dev.get("networking.k8s.io/v1", "Ingress")

    (laptop.folder / "deploy/chart/templates/ingress.yaml").unlink()
    await laptop.push("Show it to nobody")
    await laptop.loop("promote", "dev")
    await dev.applied(poll.ops.merge())
    assert "ingress-web.yaml" not in poll.texts("dev")
    with pytest.raises(NotFound):
        await dev.get("networking.k8s.io/v1", "Ingress")
    await dev.get("apps/v1", "Deployment")


async def test_step_10_what_a_session_changes_stays_until_it_is_killed_and_doctor_restores_it(
    poll: Poll, laptop: Clone, dev: Followed, tmp_path: Path
) -> None:
    await laptop.loop("promote", "dev")
    await dev.applied(poll.ops.merge())
    before = text((await dev.argo.get(dev.name))["spec"])
    laptop.write(".env", "TITLE=Mine\n")
    await laptop.loop("use", "namespace", dev.namespace)
    async with watched(dev.client, dev.key("apps/v1", "Deployment")) as states:
        async with developing(laptop.folder) as session:
            await session.next("ready", timeout=120)
            await others_are_applied(poll, dev)
            session.process.kill()
            await session.process.wait()
        await dev.argo.refresh(dev.name)
        mine = [is_mine(one) for one in states]
        assert mine == sorted(mine) and mine[-1]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # its exit code is also about what others left in this cluster
    told = await Clone(elsewhere).tried("doctor", "--resume")
    assert f"Application/{dev.name} as before" in told.stdout, told.stdout + told.stderr
    assert text((await dev.argo.get(dev.name))["spec"]) == before
    restored = await dev.get("apps/v1", "Deployment")
    assert not is_mine(restored) and TARGET_ANNOTATION not in restored["spec"]["template"]["metadata"].get(
        "annotations", {}
    )


def is_mine(web: dict[str, Any]) -> bool:
    (container,) = web["spec"]["template"]["spec"]["containers"]
    return any(one.get("value") == "Mine" for one in container["env"])


async def others_are_applied(poll: Poll, dev: Followed) -> None:
    """Argo CD is no less awake: it applies a commit of somebody else's."""
    poll.ops.remote.commit({f"{poll.manifests('dev')}/others.yaml": OTHERS})

    async def is_there() -> bool:
        await dev.argo.refresh(dev.name)
        with contextlib.suppress(NotFound):
            return bool(await dev.get("v1", "ConfigMap", "others"))
        return False

    await until(is_there, every=0.2, what="what others committed is applied")
