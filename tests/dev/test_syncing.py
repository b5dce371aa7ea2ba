"""Sync into real pods."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
from pathlib import Path

import pytest

from innerloop.dev.pods import PodContainer
from innerloop.dev.restarting import restart
from innerloop.errors import LoopError
from innerloop.events import Event, Notice, ProcessState, Synced, SyncStream
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.manifest import ObjectKey
from innerloop.project import DevTarget, SyncPath
from tests.dev.conftest import Start
from tests.dev.service import SERVER, Service, sync_files
from tests.kube import pods
from tests.waiting import until

pytestmark = pytest.mark.cluster


async def test_every_kind_of_edit_arrives(start: Start) -> None:
    service = await start()
    local = service.local
    (local / "package/deep").mkdir(parents=True)
    for number in range(30):
        (local / f"package/deep/{number}.txt").write_text(str(number))
    (local / "empty").mkdir()
    (local / "link").symlink_to("package")
    (local / "run.sh").write_text("#!/bin/sh\n")
    (local / "ignored.log").write_text("x")
    (local / ".gitignore").write_text("*.log\n")
    await service.settle()
    (local / "package").rename(local / "renamed")
    (local / "run.sh").chmod(0o755)
    (local / "link").unlink()
    (local / "link").symlink_to("renamed/deep")
    (local / "renamed/deep/3.txt").unlink()
    (local / "new.tmp").write_text("rename over")
    (local / "new.tmp").rename(local / "renamed/deep/4.txt")
    (local / "large.bin").write_bytes(os.urandom(3_000_000))
    await service.settle()
    shutil.rmtree(local / "renamed")
    (local / "empty").rmdir()
    (local / "empty").write_text("now a file")
    await service.settle()
    assert not service.of(Notice)


async def test_two_edits_of_equal_size_in_a_row_both_arrive(start: Start) -> None:
    service = await start()
    (container,) = service.containers
    for number in range(5):
        (service.local / "a.txt").write_text(f"first {number}")
        await asyncio.sleep(random.random() / 100)
        (service.local / "a.txt").write_text(f"other {number}")
        await service.settle()
        assert await service.run(container, "cat", "/app/a.txt") == f"other {number}".encode()


async def test_saved_source_restarts_the_process_and_other_files_do_not(start: Start) -> None:
    service = await start(target={"restart": ("**/*.py",)})
    await until(lambda: service.of(ProcessState)[-1].state == "running")
    service.events.clear()
    (service.local / "notes.txt").write_text("x")
    await until(lambda: service.of(Synced))
    (service.local / "server.py").write_text(SERVER + "# changed\n")
    await until(lambda: [event for event in service.of(ProcessState) if event.state == "running"])
    assert [event.action for event in service.of(Synced)] == ["", "restart"]
    assert [event.state for event in service.of(ProcessState)] == ["restarting", "running"]


async def test_broken_process_is_told_and_mended_by_a_save(start: Start) -> None:
    service = await start(target={"restart": ("**/*.py",)})
    (service.local / "server.py").write_text("raise SystemExit(5)")
    await until(lambda: [event for event in service.of(ProcessState) if event.message == "ended with status 5"])
    (service.local / "server.py").write_text(SERVER)
    await until(lambda: service.of(ProcessState)[-1].state == "running")
    assert len(service.containers) == 1


async def test_target_without_folders_tells_of_its_process(start: Start) -> None:
    service = await start(target={"sync": (), "restart": ("*.py",)})
    await until(lambda: service.of(ProcessState))
    assert service.of(ProcessState)[0].message == "ended with status 2"


async def test_every_replica_and_every_new_pod_gets_everything(start: Start, client: Client) -> None:
    service = await start(replicas=2)
    (service.local / "a.txt").write_text("1")
    await service.settle(2)
    former = service.containers[0]
    await objects.delete(client, ObjectKey("v1", "Pod", service.namespace, former.pod))
    (service.local / "b.txt").write_text("2")
    (service.local / "a.txt").unlink()
    await until(lambda: former not in service.containers, timeout=30)
    await service.settle(2)


async def test_restarted_container_gets_everything_and_what_was_deleted_stays_deleted(start: Start) -> None:
    volume = {"name": "keep", "emptyDir": {}}
    web = pods.container("web", ["python", "/app/server.py"], pods.PYTHON)
    service = await start({**web, "volumeMounts": [{"name": "keep", "mountPath": "/app"}]}, volumes=[volume])
    (service.local / "gone.txt").write_text("1")
    (service.local / "kept.txt").write_text("1")
    await service.settle()
    (former,) = service.containers
    # nobody forwards this one: the supervisor itself ends, and with it the container
    await service.end(former)
    (service.local / "gone.txt").unlink()
    (service.local / "kept.txt").write_text("2")
    await until(lambda: former not in service.containers, timeout=60)
    await service.settle()


async def test_user_without_rights_syncs_where_it_may_and_is_told_where_not(start: Start, tmp_path: Path) -> None:
    (tmp_path / "denied").mkdir()
    (tmp_path / "denied/a.txt").write_text("1")
    paths = (
        SyncPath(local=tmp_path / "local", remote="/app"),
        SyncPath(local=tmp_path / "denied", remote="/srv/denied"),
    )
    mount = {"volumeMounts": [{"name": "app", "mountPath": "/app"}]}
    context = {"runAsUser": 1234, "runAsGroup": 1234, "runAsNonRoot": True, "allowPrivilegeEscalation": False}
    web = pods.container("web", ["python", "/app/server.py"], pods.PYTHON, securityContext=context, **mount)
    service = await start(web, volumes=[{"name": "app", "emptyDir": {}}], target={"sync": paths})
    await service.settle()
    (notice,) = service.of(Notice)
    assert "/srv/denied/a.txt" in notice.message
    assert "the container's user is 1234, and /srv belongs to 0:0, mode 0755" in notice.message
    assert "chown -R 1234 /srv/denied" in notice.hint


async def test_read_only_file_system_is_told_and_a_writable_folder_in_it_works(start: Start, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/a.conf").write_text("1")
    paths = (SyncPath(local=tmp_path / "local", remote="/app"), SyncPath(local=tmp_path / "etc", remote="/etc/web"))
    mount = {"volumeMounts": [{"name": "app", "mountPath": "/app"}]}
    context = {"readOnlyRootFilesystem": True}
    web = pods.container("web", ["python", "/app/server.py"], pods.PYTHON, securityContext=context, **mount)
    service = await start(web, volumes=[{"name": "app", "emptyDir": {}}], target={"sync": paths})
    await service.settle()
    (notice,) = service.of(Notice)
    assert "/etc/web/a.conf: the file system is read-only there" in notice.message
    assert notice.hint.startswith("mount an emptyDir at /etc/web")


async def test_restart_by_hand_is_done_when_it_returns(start: Start, client: Client) -> None:
    service = await start(replicas=2)
    place = {"namespace": service.namespace, "selector": "app=web"}
    before = [await process_of(service, container) for container in service.containers]
    restarted = await restart(client, "web", **place)
    assert {one.pod for one in restarted} == {one.pod for one in service.containers}
    after = [await process_of(service, container) for container in service.containers]
    assert all(old != new for old, new in zip(before, after, strict=True))
    with pytest.raises(LoopError, match="no container of other runs"):
        await restart(client, "other", **place)


async def process_of(service: Service, container: PodContainer) -> bytes:
    """Ids of the processes that process 1 started."""
    return await service.run(container, "cat", "/proc/1/task/1/children")


async def test_container_with_neither_helper_nor_shell_is_told(client: Client, namespace: str, tmp_path: Path) -> None:
    note = {"innerloop.dev/target": "web=web"}
    text = {"path": "text", "fieldRef": {"fieldPath": "metadata.name"}}
    volumes = [{"name": "text", "downwardAPI": {"items": [text]}}]
    mounts = [{"name": "text", "mountPath": "/bin/sh", "subPath": "text"}]
    container = pods.container("web", image=pods.PYTHON, volumeMounts=mounts)
    manifest = pods.pod(namespace, "web", [container], labels={"app": "web"}, annotations=note, volumes=volumes)
    await pods.start(client, manifest)
    target = DevTarget(name="web", selector={"app": "web"}, sync=(SyncPath(local=tmp_path, remote="/app"),))
    events: list[Event] = []
    async with asyncio.TaskGroup() as tasks:
        running = sync_files(client, target, namespace=namespace, selector="app=web", emit=events.append)
        task = tasks.create_task(running, name="sync")
        await until(lambda: len(events) > 1)
        task.cancel()
    states = [event for event in events if isinstance(event, SyncStream)]
    assert [event.state for event in states] == ["connecting", "interrupted", "ended"]
    assert states[1].message == "the container web/web is not set up for development"
    assert states[1].hint.startswith("loop dev sets it up")


async def test_helper_that_is_stopped_for_a_while_catches_up(start: Start) -> None:
    service = await start()
    (container,) = service.containers
    await service.run(container, "python", "-c", signal_receiver(signal.SIGSTOP))
    for number in range(5):
        (service.local / "a.txt").write_text(str(number))
        await asyncio.sleep(0.05)
    await service.run(container, "python", "-c", signal_receiver(signal.SIGCONT))
    await service.settle()


async def test_receiver_that_is_killed_is_replaced_and_nothing_is_lost(start: Start) -> None:
    service = await start()
    (container,) = service.containers
    for number in range(3):
        (service.local / "a.txt").write_text(f"before {number}")
        await service.run(container, "python", "-c", signal_receiver(signal.SIGKILL))
        (service.local / "a.txt").write_text(f"after {number}")
        await service.settle()


def signal_receiver(number: signal.Signals) -> str:
    """A program for the container that signals the sync receiver."""
    return f"""
import os, pathlib
for place in pathlib.Path("/proc").glob("[0-9]*"):
    if place.joinpath("cmdline").read_bytes().startswith(b"/.innerloop/loop-helper\\0sync"):
        os.kill(int(place.name), {number.value})
"""


async def test_missing_local_folder_is_refused(client: Client, namespace: str, tmp_path: Path) -> None:
    target = DevTarget(name="web", sync=(SyncPath(local=tmp_path / "missing", remote="/app"),))
    with pytest.raises(LoopError, match=r"dev\.web\.sync: .*/missing does not exist"):
        await sync_files(client, target, namespace=namespace, selector="app=web", emit=lambda event: None)
