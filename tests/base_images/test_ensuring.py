"""A registry gets what it lacks: real images, made by debootstrap and buildah."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from innerloop import processes
from innerloop.cluster.base_images import ensure
from innerloop.errors import LoopError
from innerloop.events import Event, Notice
from tests.build.registry import FakeRegistry

PROGRAMS = ("debootstrap", "buildah", "skopeo")
needs_programs = pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason=f"needs {', '.join(PROGRAMS)}")

DockerHub = Callable[[str], None]


async def test_what_the_registry_has_is_left_alone(registry: FakeRegistry) -> None:
    registry.manifests["library/redis:7"] = ("application/vnd.oci.image.manifest.v1+json", b"{}")
    events: list[Event] = []
    await ensure(["redis:7", "docker.io/library/redis:7", "shop/web:1"], registry.host, events.append)
    assert (events, registry.requests) == ([], ["HEAD /v2/library/redis/manifests/7"])


async def test_a_registry_that_does_not_answer_is_told() -> None:
    with pytest.raises(LoopError, match=r"registry at 127\.0\.0\.1:1 does not answer"):
        await ensure(["redis:7"], "127.0.0.1:1", lambda _: None)


@needs_programs
async def test_an_image_that_cannot_be_made_is_told(registry: FakeRegistry, docker_hub: DockerHub) -> None:
    events: list[Event] = []
    await ensure(["redis:8"], registry.host, events.append)
    (notice,) = events
    assert isinstance(notice, Notice)
    assert "redis:8" in notice.message


@needs_programs
async def test_nothing_is_made_where_the_real_registry_answers(registry: FakeRegistry, docker_hub: DockerHub) -> None:
    registry.manifests["elsewhere/library/redis:7"] = ("application/vnd.oci.image.manifest.v1+json", b"{}")
    docker_hub(f"{registry.host}/elsewhere")
    await ensure(["redis:7"], registry.host, lambda _: None)
    assert "library/redis:7" not in registry.manifests


@pytest.mark.cluster
@pytest.mark.timeout(600)
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@needs_programs
async def test_a_made_image_runs_and_says_what_it_is(
    registry: FakeRegistry, docker_hub: DockerHub, tmp_path: Path
) -> None:
    events: list[Event] = []
    await ensure(["busybox:1.36"], registry.host, events.append)

    (notice,) = (event for event in events if isinstance(event, Notice))
    assert "busybox:1.36 has BusyBox 1.35 of Debian 12" in notice.message
    manifest = json.loads(registry.manifests["library/busybox:1.36"][1])
    config = json.loads(registry.blobs[manifest["config"]["digest"]])
    assert config["config"]["Labels"]["org.opencontainers.image.description"] == "BusyBox 1.35 of Debian 12"
    # builders refuse a base whose history does not tell of each layer
    assert sum(not entry.get("empty_layer") for entry in config["history"]) == len(manifest["layers"])
    for layer in manifest["layers"]:
        archive = registry.blobs[layer["digest"]]
        await processes.run(["tar", "--extract", "--gzip", "--directory", str(tmp_path)], input=archive)
    said = await processes.run(["chroot", str(tmp_path), "/bin/sh", "-c", "echo $((6 * 7))"])
    assert said.text == "42\n"
