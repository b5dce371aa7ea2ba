"""``loop sync``: sync alone, and waiting until all is live."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.manifest import ObjectKey
from tests.e2e.conftest import Sample
from tests.e2e.loop_command import LOOP, Ended, developing, loop

pytestmark = pytest.mark.cluster


async def in_container(sample: Sample, name: str) -> str:
    """What a file of the container has."""
    return (await loop("exec", "web", "cat", name, cwd=sample.folder)).stdout


async def wait(sample: Sample, *arguments: str) -> Ended:
    return await loop("sync", "--wait", *arguments, cwd=sample.folder)


async def test_what_is_left_running_is_kept_in_sync_and_scripts_can_wait(sample: Sample) -> None:
    refused = await wait(sample)
    assert (refused.code, "is not deployed in namespace" in refused.stderr) == (1, True)
    async with developing(sample.folder) as session:
        await session.next("ready", timeout=120)
        for number in range(3):
            sample.write("web/page.txt", f"page {number}")
            sample.write(f"web/new{number}/deep.txt", f"deep {number}")
            ended = await wait(sample, "web")
            assert ended.code == 0, ended.stdout + ended.stderr
            assert await in_container(sample, "page.txt") == f"page {number}"
            assert await in_container(sample, f"new{number}/deep.txt") == f"deep {number}"
        second = await loop("sync", cwd=sample.folder)
        assert (second.code, "web is being developed by" in second.stderr) == (1, True)
        status = json.loads((await loop("status", "-o", "json", cwd=sample.folder)).stdout)
        assert [stream["state"] for stream in status["sessions"][0]["streams"].values()] == ["in sync"]
    sample.write("web/page.txt", "without a session")
    ended = await wait(sample)
    assert (ended.code, "live: web" in ended.stdout) == (0, True), ended.stdout + ended.stderr
    assert await in_container(sample, "page.txt") == "without a session"
    async with developing(sample.folder, command="sync") as session:
        await session.next("ready")
        sample.write("web/page.txt", "sync alone")
        assert (await wait(sample)).code == 0
        assert await in_container(sample, "page.txt") == "sync alone"


async def test_what_the_saves_lead_to_is_waited_for(sample: Sample) -> None:
    async with developing(sample.folder) as session:
        await session.next("ready", timeout=120)
        sample.replace("web/main.py", "first program", "second program")
        assert (await wait(sample)).code == 0
        state = [event["state"] for event in session.events if event["event"] == "process"][-1]
        assert state == "running"
        sample.replace("deploy/web.yaml", "terminationGracePeriodSeconds: 1", "terminationGracePeriodSeconds: 2")
        behind = len(session.events)
        assert (await wait(sample)).code == 0
        assert "apply" in session.done(behind=behind)


async def test_what_cannot_be_live_is_told(sample: Sample, client: Client, tmp_path: Path) -> None:
    sample.replace("loop.yaml", "sync: web:/app", "sync: [web:/app, other:/proc/denied]")
    sample.write("other/a.txt", "1")
    async with developing(sample.folder) as session:
        await session.next("ready", timeout=120)
        ended = await wait(sample)
        assert ended.code == 1
        assert "not everything is live" in ended.stderr
        assert "/proc/denied/a.txt" in ended.stderr
        key = ObjectKey("apps/v1", "Deployment", sample.namespace, "web")
        await objects.delete(client, key)
        await session.next("sync-stream", state="ended")
        ended = await wait(sample, "--timeout", "1")
        assert (ended.code, "no container runs" in ended.stderr) == (1, True), ended.stdout + ended.stderr


async def test_a_service_that_is_not_deployed_for_development_is_refused(sample: Sample) -> None:
    assert (await loop("deploy", cwd=sample.folder)).code == 0
    for arguments in (["sync"], ["sync", "web"], ["sync", "--wait"]):
        ended = await loop(*arguments, cwd=sample.folder)
        assert (ended.code, "is deployed for development" in ended.stderr.replace("not ", "")) == (1, True)
    assert (await loop("sync", "--timeout", "5", cwd=sample.folder)).code == 2


async def test_a_limit_of_the_system_ends_the_session_with_the_command_that_raises_it(sample: Sample) -> None:
    assert (await loop("deploy", cwd=sample.folder)).code == 0
    # user.max_inotify_* holds for one user namespace, fs.inotify.* would hold for the whole machine
    limited = f"echo 0 > /proc/sys/user/max_inotify_watches && exec {LOOP} dev < /dev/null"
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--user", "--map-root-user", "sh", "-c", limited),
        cwd=sample.folder,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 1
    assert "sudo sysctl fs.inotify.max_user_watches=" in output.decode()
