"""A developer's day on the real cluster, through the command line."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path

import pytest

from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import NotFound
from innerloop.manifest import ObjectKey
from tests.e2e.conftest import Sample
from tests.e2e.loop_command import Session, developing, loop, page
from tests.waiting import until

pytestmark = pytest.mark.cluster


async def shows(sample: Sample, text: str) -> None:
    async def there() -> bool:
        return text in await page(sample.url)

    await until(there, timeout=30, what=f"'{text}' on the page")


async def test_a_day_of_edits(sample: Sample) -> None:
    """One session, because each needs the one before: what an edit reaches runs again, and nothing else."""
    async with developing(sample.folder) as session:
        await session.next("ready", timeout=120)
        await shows(sample, "first program | first page | first title")
        await edit_that_sync_carries(sample, session)
        await edit_of_the_program(sample, session)
        await edit_of_a_template(sample, session)
        await edit_of_the_environment_file(sample, session)
        await edit_of_the_dockerfile(sample, session)
        await broken_configuration(sample, session)
        await what_other_commands_see(sample)


async def edit_that_sync_carries(sample: Sample, session: Session) -> None:
    behind = len(session.events)
    sample.write("web/page.txt", "second page")
    await shows(sample, "first program | second page")
    batch = await session.next("sync", behind=behind)
    assert (batch["files"], batch["action"], batch["paths"]) == (1, "", ["page.txt"])
    assert session.done(behind=behind) == []


async def edit_of_the_program(sample: Sample, session: Session) -> None:
    behind = len(session.events)
    sample.replace("web/main.py", "first program", "second program")
    await shows(sample, "second program | second page")
    batch = await session.next("sync", behind=behind)
    assert batch["action"]
    assert session.done(behind=behind) == []


async def edit_of_a_template(sample: Sample, session: Session) -> None:
    behind = len(session.events)
    sample.replace(
        "deploy/web.yaml", "labels: {app: web}}\n    spec", "labels: {app: web, edited: yes-it-is}}\n    spec"
    )
    await session.next("ready", behind=behind)
    assert [step for step in session.done(behind=behind) if step.startswith("build")] == []
    # the new pod came from the image, which is older than the edits: they are there all the same
    await shows(sample, "second program | second page")


async def edit_of_the_environment_file(sample: Sample, session: Session) -> None:
    behind = len(session.events)
    sample.write(".env", "TITLE=second title\n")
    await session.next("ready", behind=behind)
    assert [step for step in session.done(behind=behind) if step.startswith("build")] == []
    await shows(sample, "second page | second title")


async def edit_of_the_dockerfile(sample: Sample, session: Session) -> None:
    behind = len(session.events)
    sample.replace("web/Dockerfile", "COPY", "ENV BUILT=twice\nCOPY")
    await session.next("ready", behind=behind, timeout=90)
    assert "build/web" in session.done(behind=behind)
    await shows(sample, "second program | second page")


async def broken_configuration(sample: Sample, session: Session) -> None:
    behind = len(session.events)
    sample.replace("loop.yaml", "images:", "imagse:")
    notice = await session.next("notice", behind=behind, level="error")
    assert "imagse" in notice["message"] + notice["detail"]
    await session.next("notice", behind=behind, message="going on with the configuration as it was before")
    assert [event for event in session.events[behind:] if event["event"] == "ready"] == []
    sample.replace("loop.yaml", "imagse:", "images:")
    await session.next("ready", behind=behind)


async def what_other_commands_see(sample: Sample) -> None:
    found = await loop("status", "-o", "json", cwd=sample.folder)
    assert found.code == 0, found.stdout + found.stderr
    status = json.loads(found.stdout)
    assert [developer["service"] for developer in status["developers"]] == ["web"]
    assert status["sessions"][0]["services"] == ["web"]
    answered = await loop("exec", "web", "cat", "page.txt", cwd=sample.folder)
    assert (answered.code, answered.stdout) == (0, "second page")
    assert (await loop("exec", "web", "sh", "-c", "exit 7", cwd=sample.folder)).code == 7
    assert (await loop("exec", "web", "no-such-program", cwd=sample.folder)).code == 127
    assert (await loop("exec", "web", "--", "sh", "-c", "exit 8", cwd=sample.folder)).code == 8
    logs = await loop("logs", "--no-follow", "web", cwd=sample.folder)
    assert "GET /" in logs.stdout
    second = await loop("dev", cwd=sample.folder)
    assert second.code == 1
    assert "web is being developed by" in second.stderr


async def test_an_interrupt_ends_within_two_seconds_and_leaves_all_running(sample: Sample, client: Client) -> None:
    async with developing(sample.folder) as session:
        await session.next("ready", timeout=120)
        started = time.monotonic()
        assert await session.interrupt() == 130
        assert time.monotonic() - started < 2
    await objects.get(client, ObjectKey("apps/v1", "Deployment", sample.namespace, "web"))


@pytest.mark.parametrize("step", ["render", "build/web", "apply", "ready/Deployment/web"])
async def test_a_killed_session_is_no_hindrance(sample: Sample, client: Client, step: str) -> None:
    async with developing(sample.folder) as session:
        await session.next("step-started", step=step, timeout=60)
        session.process.kill()
        await session.process.wait()
    ended = await loop("purge", cwd=sample.folder)
    assert ended.code == 0, ended.stdout + ended.stderr
    with pytest.raises(NotFound):
        await objects.get(client, ObjectKey("v1", "Namespace", "", sample.namespace))


async def test_a_taken_port_is_told_with_its_holder(sample: Sample) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", sample.port))
        taken.listen()
        ended = await loop("dev", cwd=sample.folder)
    assert ended.code == 1
    assert f"port {sample.port}" in ended.stderr
    assert "pytest" in ended.stderr or "python" in ended.stderr


async def test_a_failing_build_is_shown_whole(sample: Sample) -> None:
    sample.replace("web/Dockerfile", "COPY . .", "RUN echo something useful && false")
    ended = await loop("deploy", cwd=sample.folder)
    assert ended.code == 1
    assert "something useful" in ended.stdout


async def test_a_crash_at_the_start_is_mended_by_an_edit(sample: Sample) -> None:
    sample.replace("web/main.py", "import http", "import nothing_there\nimport http")
    async with developing(sample.folder) as session:
        await session.next("process", state="exited", timeout=120)
        sample.replace("web/main.py", "import nothing_there\n", "")
        await session.next("ready", timeout=60)
        await shows(sample, "first program")


async def test_deploy_needs_no_session(sample: Sample) -> None:
    first = await loop("deploy", "-o", "json", cwd=sample.folder)
    assert first.code == 0, first.stdout
    again = await loop("deploy", "-o", "json", cwd=sample.folder)
    done = {
        event["step"]: event for event in map(json.loads, again.stdout.splitlines()) if event["event"] == "step-done"
    }
    assert "unchanged" in done["build/web"]["summary"]
    assert "unchanged" in done["apply"]["summary"]


async def test_the_demonstration_runs(kubeconfig: Path) -> None:
    """`make demo` on a cluster that is there."""
    import os
    import sys

    demo = Path(__file__).parents[2] / "examples/demo.py"
    env = {**os.environ, "KUBECONFIG": str(kubeconfig), "LOOP_CONTEXT": await context_of(kubeconfig)}
    process = await asyncio.create_subprocess_exec(sys.executable, demo, env=env, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def context_of(kubeconfig: Path) -> str:
    from innerloop.kube import config

    return config.load([kubeconfig]).current
