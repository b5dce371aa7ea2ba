"""Actions in real containers, and beside them on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from innerloop.events import Notice, ProcessState, StepDone, StepFailed, StepOutput, Synced
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.manifest import ObjectKey
from innerloop.project import SyncAction
from tests.dev.conftest import Start
from tests.dev.service import Service
from tests.kube import pods
from tests.waiting import until

pytestmark = pytest.mark.cluster

HANDLER = """\
import signal, time
signal.signal(signal.SIGHUP, lambda *_: open("/tmp/hup", "a").write("x"))
print("serving", flush=True)
while True:
    time.sleep(1000)
"""
WEB = ["sh", "-c", "sleep 100000"]


def steps(service: Service, kind: type[StepDone] | type[StepFailed]) -> list[str]:
    return [event.step.removeprefix("action/web/") for event in service.of(kind)]


@pytest.mark.parametrize("image", [pods.BUSYBOX, pods.PYTHON])
async def test_a_command_follows_in_the_container_and_its_output_is_told(start: Start, image: str) -> None:
    action = SyncAction(files=("*.txt",), exec=("sh", "-c", "echo got $(cat /app/a.txt); echo loud >&2"))
    service = await start(pods.container("web", WEB, image), target={"actions": (action,)})
    (service.local / "a.txt").write_text("1")
    await until(lambda: service.of(StepDone))
    assert sorted(event.text for event in service.of(StepOutput)) == ["got 1", "loud"]


async def test_a_failing_command_keeps_the_process_until_it_succeeds(start: Start) -> None:
    action = SyncAction(files=("*.cfg",), exec=("grep", "-q", "good", "/app/a.cfg"))
    service = await start(target={"actions": (action,), "restart": ("*.cfg",)})
    # the program came with the sync: whether the first process still found it is a race
    (service.local / "a.cfg").write_text("good at first")
    await until(lambda: [event.state for event in service.of(ProcessState)][-2:] == ["restarting", "running"])
    service.events.clear()
    (service.local / "a.cfg").write_text("bad")
    failed = (await until(lambda: service.of(StepFailed)))[0]
    assert "grep -q good /app/a.cfg ended with status 1" in failed.message
    assert not service.of(ProcessState)
    (service.local / "a.cfg").write_text("good")
    await until(lambda: [event.state for event in service.of(ProcessState)] == ["restarting", "running"])
    assert [event.action for event in service.of(Synced)] == ["actions, restart"] * 2


async def test_a_program_that_the_container_lacks_is_told(start: Start) -> None:
    action = SyncAction(files=("*.txt",), exec=("no-such-program",))
    service = await start(target={"actions": (action,)})
    (service.local / "a.txt").write_text("1")
    (failed,) = await until(lambda: service.of(StepFailed))
    assert "cannot run no-such-program" in failed.message
    assert "the container needs no-such-program" in failed.hint


async def test_a_signal_reaches_the_process(start: Start) -> None:
    action = SyncAction(files=("*.txt",), signal="HUP")
    service = await start(ready=False, target={"actions": (action,), "restart": ("*.py",)})
    (service.local / "server.py").write_text(HANDLER)
    await service.settle()
    (container,) = service.containers
    await until(lambda: service.state.in_sync and service.of(ProcessState)[-1].state == "running", timeout=60)
    # Python takes a moment until it has a handler
    check = ("sh", "-c", "grep SigCgt /proc/$(pgrep -n python || echo 1)/status")
    await service.run(container, *check)
    (service.local / "a.txt").write_text("1")
    await until(lambda: service.of(StepDone))

    async def arrived() -> bool:
        return bool(await service.run(container, "sh", "-c", "cat /tmp/hup 2>/dev/null || true"))

    await until(arrived, every=0.1)


async def test_a_signal_that_no_process_gets_is_told(start: Start) -> None:
    action = SyncAction(files=("*.txt",), signal="HUP")
    service = await start(target={"actions": (action,), "restart": ("*.py",)})
    (service.local / "server.py").write_text("raise SystemExit(5)")
    await until(lambda: service.of(ProcessState) and service.of(ProcessState)[-1].state == "exited")
    (service.local / "a.txt").write_text("1")
    (failed,) = await until(lambda: service.of(StepFailed))
    assert "there is no process to send HUP to" in failed.message


async def test_a_command_of_this_machine_runs_once_for_two_replicas(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    actions = (
        SyncAction(files=("*.txt",), run="echo ran >> ran"),
        SyncAction(files=("*.txt",), exec=("cat", "/app/a.txt")),
    )
    service = await start(replicas=2, target={"actions": actions})
    (service.local / "a.txt").write_text("1")
    await until(lambda: len(service.of(StepDone)) == 3)
    assert (tmp_path / "ran").read_text() == "ran\n"
    assert [step.partition("/")[2] for step in steps(service, StepDone)] == ["", "1", "1"]


async def test_a_new_pod_gets_what_an_action_did_before_it_counts_as_in_sync(start: Start, client: Client) -> None:
    action = SyncAction(files=("a.txt",), exec=("cp", "/app/a.txt", "/tmp/installed"))
    service = await start(target={"actions": (action,)})
    (service.local / "a.txt").write_text("1")
    await until(lambda: service.of(StepDone))
    (former,) = service.containers
    await objects.delete(client, ObjectKey("v1", "Pod", service.namespace, former.pod))
    await until(lambda: service.state.in_sync and service.containers != [former], timeout=60)
    assert await service.run(service.containers[0], "cat", "/tmp/installed") == b"1"


async def test_saves_arrive_while_an_action_runs(start: Start) -> None:
    slow = ("sh", "-c", "while [ ! -e /app/b.txt ]; do sleep 0.05; done")
    service = await start(target={"actions": (SyncAction(files=("a.txt",), exec=slow),)})
    (service.local / "a.txt").write_text("1")
    await until(lambda: [event for event in service.of(Synced) if event.action])
    (service.local / "b.txt").write_text("2")
    await until(lambda: service.of(StepDone))


async def test_files_that_an_image_brings_are_never_synced(start: Start) -> None:
    def built(path: str) -> bool:
        return path.endswith("/requirements.txt")

    service = await start(built=built)
    (service.local / "requirements.txt").write_text("flask")
    (service.local / "other.txt").write_text("x")
    (container,) = service.containers

    async def arrived() -> bool:
        return "other.txt" in await service.list(container)

    await until(arrived)
    (service.local / "requirements.txt").unlink()
    (service.local / "last.txt").write_text("x")
    await until(lambda: "last.txt" in [path for event in service.of(Synced) for path in event.paths])
    assert "requirements.txt" not in await service.list(container)
    assert not service.of(Notice)
