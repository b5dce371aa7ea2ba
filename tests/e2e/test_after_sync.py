"""What follows a save through the command line: rebuilds, actions, and pods of someone else."""

from __future__ import annotations

import pytest

from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.manifest import ObjectKey
from tests.e2e.conftest import Sample
from tests.e2e.loop_command import developing, loop, page
from tests.kube import pods
from tests.waiting import until

pytestmark = pytest.mark.cluster


async def test_a_dependency_file_is_built_and_never_synced(sample: Sample) -> None:
    sample.replace("loop.yaml", '    restart: "**/*.py"\n', '    restart: "**/*.py"\n    rebuild: requirements.txt\n')
    sample.replace("web/Dockerfile", "COPY . .", "COPY . .\nRUN cp requirements.txt /installed")
    sample.write("web/requirements.txt", "flask==1\n")
    async with developing(sample.folder) as session:
        await session.next("ready", timeout=120)
        behind = len(session.events)
        sample.write("web/requirements.txt", "flask==2\n")
        await session.next("ready", behind=behind, timeout=90)
        assert "build/web" in session.done(behind=behind)
        found = await loop("exec", "web", "--", "cat", "/installed", "/app/requirements.txt", cwd=sample.folder)
        assert found.stdout == "flask==2\nflask==2\n"
        synced = [path for event in session.events if event["event"] == "sync" for path in event["paths"]]
        assert "requirements.txt" not in synced


async def test_actions_of_an_edited_configuration_follow_the_next_save(sample: Sample) -> None:
    async with developing(sample.folder) as session:
        await session.next("ready", timeout=120)
        behind = len(session.events)
        actions = "    actions: [{files: '*.txt', run: 'cat web/page.txt > seen; echo $LOOP_NAMESPACE >> seen'}]\n"
        sample.replace("loop.yaml", "    sync: web:/app\n", f"    sync: web:/app\n{actions}")
        await session.next("ready", behind=behind)
        sample.write("web/page.txt", "second page\n")
        await session.next("step-done", behind=behind, step="action/web/0")
    assert (sample.folder / "seen").read_text() == f"second page\n{sample.namespace}\n"


async def test_a_pod_of_someone_else_is_developed_and_left_as_it_was(
    sample: Sample, client: Client, namespace: str
) -> None:
    command = ["sh", "-c", "mkdir /tmp/www; httpd -p 8000 -h /tmp/www; while :; do echo serving; sleep 1; done"]
    theirs = pods.pod(namespace, "theirs", [pods.container("app", command)], labels={"app": "theirs"})
    before = await pods.start(client, theirs)
    target = f"{{selector: {{app: theirs}}, sync: 'web:/tmp/www', ports: '{sample.port}:8000'}}"
    sample.write("loop.yaml", f"name: sample\ndev:\n  web: {target}\n")
    async with developing(sample.folder, "-n", namespace) as session:
        await session.next("ready", timeout=60)
        await session.next("log", text="serving", service="web")
        sample.write("web/page.txt", "second page")

        async def served() -> bool:
            return "second page" in await page(f"{sample.url}page.txt")

        await until(served)
    ended = await loop("purge", "-n", namespace, cwd=sample.folder)
    assert ended.code == 0, ended.stdout + ended.stderr
    after = await objects.get(client, ObjectKey("v1", "Pod", namespace, "theirs"))
    assert (after["metadata"]["uid"], after["spec"]) == (before["metadata"]["uid"], before["spec"])
    assert after["metadata"].get("annotations") == before["metadata"].get("annotations")


async def test_pods_of_someone_else_are_synced_read_and_entered_without_a_session(
    sample: Sample, client: Client, namespace: str
) -> None:
    app = ["sh", "-c", "echo made by the app > /tmp/made; echo serving; sleep 3600"]
    containers = [pods.container("side", ["sleep", "3600"]), pods.container("app", app)]
    await pods.start(client, pods.pod(namespace, "theirs", containers, labels={"app": "theirs"}))
    target = "{selector: {app: theirs}, container: app, sync: 'web:/tmp/www'}"
    sample.write("loop.yaml", f"name: sample\ndev:\n  web: {target}\n")
    sample.write("web/page.txt", "a page")

    async def run(*arguments: str) -> tuple[int, str]:
        ended = await loop(arguments[0], "-n", namespace, *arguments[1:], cwd=sample.folder)
        return ended.code, ended.stdout

    assert (await run("sync", "--wait", "web"))[0] == 0
    assert await run("exec", "web", "cat", "/tmp/made", "/tmp/www/page.txt") == (0, "made by the app\na page")
    assert await run("exec", "-c", "side", "web", "cat", "/tmp/made") == (1, "")
    code, lines = await run("logs", "--no-follow", "web")
    assert (code, "serving" in lines) == (0, True)
    assert (await run("restart", "web"))[0] == 1


async def test_a_selector_that_nothing_has_is_told(sample: Sample) -> None:
    sample.write("loop.yaml", "name: sample\ndev: {web: {selector: {app: nobody}, sync: 'web:/app'}}\n")
    ended = await loop("dev", cwd=sample.folder)
    assert ended.code == 1
    assert "neither a workload of the manifests nor a pod" in ended.stdout + ended.stderr
