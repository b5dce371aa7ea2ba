"""The helper in containers of others, brought by exec."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from innerloop.dev.sync.uploading import upload
from innerloop.events import Notice, StepDone, StepFailed, Synced, SyncStream
from innerloop.kube import execution
from innerloop.kube.client import Client
from innerloop.project import DevTarget, SyncAction, SyncPath
from tests.dev.service import Service, sync_files
from tests.kube import pods
from tests.waiting import until

pytestmark = pytest.mark.cluster

LABELS = {"app": "theirs"}


class Theirs(Service):
    """A pod that somebody else made, and the sync of a folder into it."""

    async def sh(self, command: str) -> str:
        (container,) = self.containers
        return (await self.run(container, "sh", "-c", command)).decode()

    async def interruption(self) -> SyncStream:
        def find() -> list[SyncStream]:
            return [one for one in self.of(SyncStream) if one.state == "interrupted"]

        return (await until(find, timeout=30))[0]


Start = Callable[..., Awaitable[Theirs]]


@pytest.fixture
async def start(client: Client, namespace: str, tmp_path: Path) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:

        async def run(container: dict[str, Any], *, target: dict[str, Any] | None = None, **spec: Any) -> Theirs:
            await pods.start(client, pods.pod(namespace, "theirs", [container], labels=LABELS, **spec))
            theirs = Theirs(client, namespace, tmp_path / "local")
            theirs.local.mkdir()
            (theirs.local / "first.txt").write_text("1")
            path = SyncPath(local=theirs.local, remote="/tmp/app")
            wanted = DevTarget(name="web", selector=LABELS, sync=(path,), **(target or {}))
            following = sync_files(
                client,
                wanted,
                namespace=namespace,
                selector="app=theirs",
                emit=theirs.events.append,
                state=theirs.state,
                foreign=True,
            )
            stack.callback(tasks.create_task(following, name="sync").cancel)
            return theirs

        yield run
        await stack.aclose()


@pytest.mark.parametrize("image", [pods.BUSYBOX, pods.PYTHON])
async def test_files_are_synced_to_a_pod_of_others(start: Start, image: str) -> None:
    theirs = await start(pods.container("app", image=image))
    await until(lambda: theirs.state.in_sync, timeout=30)
    (theirs.local / "second.txt").write_text("2")
    await until(lambda: len(theirs.of(Synced)) > 1)
    assert await theirs.sh("cat /tmp/app/*.txt") == "12"


async def test_it_is_told_once_and_what_has_no_effect(start: Start) -> None:
    theirs = await start(pods.container("app"), target={"restart": ("*.py",), "command": ("x",)})
    await until(lambda: theirs.state.in_sync, timeout=30)
    (notice,) = theirs.of(Notice)
    assert "theirs was not set up for development: the helper was copied to /tmp/.loop-helper-" in notice.message
    assert notice.detail.endswith("command, restart have no effect")


async def test_commands_follow_and_signals_fail_in_a_pod_of_others(start: Start) -> None:
    actions = (
        SyncAction(files=("*.txt",), exec=("cp", "/tmp/app/first.txt", "/tmp/copied")),
        SyncAction(files=("*.txt",), signal="HUP"),
    )
    theirs = await start(pods.container("app"), target={"actions": actions})
    await until(lambda: theirs.state.in_sync, timeout=30)
    assert await theirs.sh("cat /tmp/copied") == "1"
    assert [event.step for event in theirs.of(StepDone)] == ["action/web/theirs/0"]
    assert [event.step for event in theirs.of(StepFailed)] == ["action/web/theirs/1"]


async def test_a_folder_that_cannot_be_written_is_passed_over(start: Start) -> None:
    mounts = [{"name": "own", "mountPath": "/var/tmp"}, {"name": "files", "mountPath": "/tmp/app"}]
    container = pods.container(
        "app", volumeMounts=mounts, securityContext={"readOnlyRootFilesystem": True, "runAsUser": 1000}
    )
    volumes = [{"name": "own", "emptyDir": {}}, {"name": "files", "emptyDir": {}}]
    theirs = await start(container, volumes=volumes)
    await until(lambda: theirs.state.in_sync, timeout=30)
    assert "/var/tmp/.loop-helper-" in theirs.of(Notice)[0].message


async def test_nowhere_to_write_is_told(start: Start) -> None:
    theirs = await start(pods.container("app", securityContext={"readOnlyRootFilesystem": True, "runAsUser": 1000}))
    told = await theirs.interruption()
    assert "cannot be brought to theirs/app" in told.message
    assert "no folder where its user may write and run a program" in told.detail


async def test_a_container_without_shell_is_told(start: Start) -> None:
    # a shell that cannot be run, as little as a distroless image has
    text = {"path": "text", "fieldRef": {"fieldPath": "metadata.name"}}
    hidden = {"name": "hidden", "mountPath": "/bin/sh", "subPath": "text"}
    container = pods.container("app", image=pods.PYTHON, volumeMounts=[hidden])
    theirs = await start(container, volumes=[{"name": "hidden", "downwardAPI": {"items": [text]}}])
    told = await theirs.interruption()
    assert "cannot be brought to theirs/app" in told.message
    assert told.hint


async def test_what_is_there_already_is_used(client: Client, namespace: str) -> None:
    container = await a_container(client, namespace)
    first = await upload(client, namespace, container)
    described = await execution.run(client, namespace, "theirs", "app", ["ls", "-li", first])
    assert await upload(client, namespace, container) == first
    assert (await execution.run(client, namespace, "theirs", "app", ["ls", "-li", first])) == described


async def test_only_its_user_may_run_it_and_nothing_else_is_left(client: Client, namespace: str) -> None:
    container = await a_container(client, namespace)
    path = await upload(client, namespace, container)
    found = await execution.run(client, namespace, "theirs", "app", ["sh", "-c", "ls -A /tmp; stat -c %a " + path])
    assert found.stdout.decode().split() == [path.removeprefix("/tmp/"), "700"]


async def test_an_upload_that_breaks_off_leaves_nothing(
    client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = await a_container(client, namespace)
    monkeypatch.setattr("innerloop.dev.helper.program", lambda architecture: bytes(40_000_000))
    monkeypatch.setattr("innerloop.dev.sync.uploading.UPLOAD_SECONDS", 2)

    async def files() -> list[str]:
        found = await execution.run(client, namespace, "theirs", "app", ["ls", "-A", "/tmp"])
        return found.stdout.decode().split()

    async def begun() -> bool:
        return any(name.startswith(".loop-helper-") for name in await files())

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(upload(client, namespace, container), name="upload")
        await until(begun, timeout=30, every=0.01)
        task.cancel()

    async def nothing() -> bool:
        return not await files()

    await until(nothing, timeout=30, every=0.1)


async def a_container(client: Client, namespace: str) -> Any:
    from innerloop.dev.pods import running_containers

    started = await pods.start(client, pods.pod(namespace, "theirs", [pods.container("app")], labels=LABELS))
    (container,) = running_containers(started)
    return container
