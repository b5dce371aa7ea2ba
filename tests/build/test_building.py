"""Real images, built by buildah and pushed to a registry."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from innerloop import processes
from innerloop.build.destination import Load, Push
from innerloop.errors import LoopError
from innerloop.events import Emit, Notice, StepDone, StepOutput, StepProgress
from innerloop.paths import state_dir
from tests.build.conftest import Shop
from tests.build.registry import FakeRegistry
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("needs_buildah")


def local(registry: FakeRegistry) -> Push:
    return Push(registry.host, plain_http=True)


async def test_an_image_is_built_pushed_and_known_by_its_digest(shop: Shop, registry: FakeRegistry) -> None:
    built = await shop.build(local(registry), args={"GREETING": "hello"})
    assert built.digest and f"web:{built.digest}" in registry.manifests
    assert built.reference == f"{registry.host}/web@{built.digest}"
    assert not built.cached
    assert (built.config.entrypoint, built.config.cmd) == (("/app/serve",), ("--port", "80"))
    assert (built.config.working_dir, built.config.user) == ("/app", "1000")
    assert built.config.env["GREETING"] == "hello"


async def test_what_is_unchanged_is_neither_built_nor_pushed(shop: Shop, registry: FakeRegistry) -> None:
    first = await shop.build(local(registry))
    shop.events.clear()
    registry.requests.clear()
    second = await shop.build(local(registry))
    assert second.cached
    assert (second.reference, second.config) == (first.reference, first.config)
    assert registry.requests == [f"HEAD /v2/web/manifests/{first.tag}"]
    assert [event.summary for event in shop.events if isinstance(event, StepDone)] == [f"{first.tag}, unchanged"]


async def test_an_image_that_a_colleague_pushed_is_taken_with_its_configuration(
    shop: Shop, registry: FakeRegistry, home: Path
) -> None:
    first = await shop.build(local(registry))
    shutil.rmtree(home / ".cache")
    second = await shop.build(local(registry))
    assert second.cached
    assert second.config == first.config


async def test_an_image_that_the_registry_lost_is_pushed_without_a_build(shop: Shop, registry: FakeRegistry) -> None:
    first = await shop.build(local(registry))
    registry.manifests.clear()
    shop.events.clear()
    second = await shop.build(local(registry))
    assert (second.cached, second.digest) == (False, first.digest)
    assert not [event for event in shop.events if isinstance(event, StepOutput) and "STEP" in event.text]


async def test_an_edit_of_a_file_gives_another_image(shop: Shop, registry: FakeRegistry) -> None:
    first = await shop.build(local(registry))
    shop.write("serve", "#!/bin/false\n")
    second = await shop.build(local(registry))
    assert second.tag != first.tag
    assert second.digest != first.digest


async def test_a_failing_build_tells_the_place_and_all_its_output(shop: Shop, registry: FakeRegistry) -> None:
    shop.write("Dockerfile", "FROM scratch\nCOPY missing /\n")
    with pytest.raises(LoopError) as failure:
        await shop.build(local(registry))
    assert str(failure.value) == "loop.yaml:3:3: building image web failed"
    assert "STEP 1/2" in str(failure.value.detail) and "missing" in str(failure.value.detail)
    log = state_dir() / "builds/shop/web.log"
    assert log.read_text().strip() == failure.value.detail
    assert str(log) in str(failure.value.hint)


async def test_a_missing_dockerfile_is_told_before_anything_runs(shop: Shop, registry: FakeRegistry) -> None:
    with pytest.raises(LoopError, match=r"loop.yaml:3:3: there is no .*/web/Other"):
        await shop.build(local(registry), dockerfile=shop.context / "Other")


async def test_a_missing_context_is_told_before_anything_runs(shop: Shop, registry: FakeRegistry) -> None:
    with pytest.raises(LoopError, match=r"loop.yaml:3:3: the build context .*/web is not a folder"):
        shutil.rmtree(shop.context)
        await shop.build(local(registry))


async def test_a_name_without_a_registry_cannot_be_pushed_to_a_cluster_that_has_none(shop: Shop) -> None:
    with pytest.raises(LoopError, match="'web' names no registry to push it to, and there is none of a cluster"):
        await shop.build(Push())


async def test_two_builds_of_one_image_at_once_build_it_once(shop: Shop, registry: FakeRegistry) -> None:
    one, two = await asyncio.gather(shop.build(local(registry)), shop.build(local(registry)))
    assert one.digest == two.digest
    assert sum(request.startswith("PUT /v2/web/manifests/") for request in registry.requests) == 1
    waiting = [event.message for event in shop.events if isinstance(event, StepProgress)]
    assert "another loop builds it: waiting" in waiting


async def test_a_command_builds_what_it_is_asked_for(shop: Shop, registry: FakeRegistry) -> None:
    built = await shop.build(local(registry), command='buildah bud -q --tag "$LOOP_IMAGE" .')
    assert f"web:{built.digest}" in registry.manifests


async def test_a_command_that_builds_something_else_is_told(shop: Shop, registry: FakeRegistry) -> None:
    with pytest.raises(LoopError, match="the build ended well, but neither docker nor buildah has an image"):
        await shop.build(local(registry), command="true")


async def test_an_image_is_loaded_as_an_archive_where_the_cluster_wants_it_so(shop: Shop) -> None:
    loaded: dict[str, bytes] = {}

    async def load(archive: Path, reference: str, emit: Emit) -> None:
        loaded[reference] = archive.read_bytes()

    async def present(reference: str) -> bool:
        return reference in loaded

    nodes = Load("test", load, present)
    built = await shop.build(nodes)
    assert built.reference == f"docker.io/library/web:{built.tag}"
    assert built.reference.encode() in loaded[built.reference]
    assert (await shop.build(nodes)).cached


async def test_git_in_the_context_is_warned_of(shop: Shop, registry: FakeRegistry) -> None:
    (shop.context / ".git").mkdir()
    await shop.build(local(registry))
    assert [event.level for event in shop.events if isinstance(event, Notice)] == ["warning"]


async def test_the_content_of_a_secret_does_not_count(shop: Shop, registry: FakeRegistry) -> None:
    secret = shop.folder / "token"
    secret.write_text("first")
    one = await shop.build(local(registry), secrets={"token": secret})
    secret.write_text("second")
    assert (await shop.build(local(registry), secrets={"token": secret})).tag == one.tag


async def containers() -> list[str]:
    return (await processes.run(["buildah", "containers", "--all", "--quiet"])).text.split()


async def test_an_interrupted_build_leaves_no_container(shop: Shop, registry: FakeRegistry) -> None:
    (shop.context / "big").write_bytes(os.urandom(1 << 20))
    shop.write("Dockerfile", "FROM scratch\n" + "COPY . /\n" * 40)
    async with asyncio.TaskGroup() as group:
        building = group.create_task(shop.build(local(registry)), name="build")
        await until(containers, what="a working container")
        building.cancel()
    assert not await containers()


async def test_what_a_killed_build_left_is_removed_by_the_next(shop: Shop, registry: FakeRegistry) -> None:
    gone = await asyncio.create_subprocess_exec("true")
    await gone.wait()
    marks = state_dir() / "builds/.running"
    mark = marks / f"{gone.pid}-0"
    mark.mkdir(parents=True)
    await processes.run(["buildah", "from", "--cni-config-dir", str(mark), "scratch"])
    await processes.run(["buildah", "from", "--name", "of-someone-else", "scratch"])
    await shop.build(local(registry))
    assert len(await containers()) == 1
    assert not list(marks.iterdir())
