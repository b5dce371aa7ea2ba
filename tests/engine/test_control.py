"""Other commands find running sessions."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from innerloop.engine import control
from innerloop.engine.snapshot import Snapshot
from innerloop.errors import LoopError
from innerloop.events import Forwarding, StepFailed, StepStarted, Synced, SyncProgress, SyncStream


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # a socket's path may have 107 bytes
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        yield Path(short)


def snapshot() -> Snapshot:
    return Snapshot(project="vote", context="kind", namespace="mine", folder="/src", pid=os.getpid(), started="now")


async def nobody_waits(services: tuple[str, ...], patience: float) -> list[str]:
    raise AssertionError("nobody asked for that")


async def test_a_session_answers_with_its_snapshot(tmp_path: Path) -> None:
    state = snapshot()
    state(Forwarding(service="web", address="127.0.0.1", local=8085, remote=80, state="up"))
    async with control.serving(tmp_path, state, nobody_waits):
        assert await control.sessions(tmp_path) == [state]


async def test_who_waits_is_told_what_cannot_be_synced(tmp_path: Path) -> None:
    asked = []

    async def wait_live(services: tuple[str, ...], patience: float) -> list[str]:
        asked.append((services, patience))
        return ["a: denied"]

    async with control.serving(tmp_path, snapshot(), wait_live):
        assert await control.wait_live(tmp_path, os.getpid(), ("web",), 5.0) == ["a: denied"]
    assert asked == [(("web",), 5.0)]


async def test_who_waits_gets_the_error(tmp_path: Path) -> None:
    async def wait_live(services: tuple[str, ...], patience: float) -> list[str]:
        raise LoopError("no container runs", detail="why", hint="do this")

    async with control.serving(tmp_path, snapshot(), wait_live):
        with pytest.raises(LoopError, match="no container runs") as raised:
            await control.wait_live(tmp_path, os.getpid(), (), 5.0)
    assert (raised.value.detail, raised.value.hint) == ("why", "do this")


async def test_who_waits_is_told_that_the_session_ended(tmp_path: Path) -> None:
    waits = asyncio.Event()

    async def wait_live(services: tuple[str, ...], patience: float) -> list[str]:
        waits.set()
        await asyncio.Event().wait()
        return []

    async def ask() -> None:
        with pytest.raises(LoopError, match="ended meanwhile"):
            await control.wait_live(tmp_path, os.getpid(), (), 5.0)

    async with asyncio.TaskGroup() as group, control.serving(tmp_path, snapshot(), wait_live):
        group.create_task(ask(), name="ask")
        await waits.wait()


@pytest.mark.parametrize("line", [b'{"request": "dance"}\n', b"dance\n", b'{"request": "wait-live"}\n', b"\n"])
async def test_an_unknown_request_is_refused(tmp_path: Path, runtime: Path, line: bytes) -> None:
    async with control.serving(tmp_path, snapshot(), nobody_waits):
        (path,) = (runtime / "innerloop" / "sessions").iterdir()
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line)
        answer = json.loads(await reader.read())
        writer.close()
    assert answer["refused"]["message"] == "the running session does not know this request"


async def test_an_ended_session_is_not_found(tmp_path: Path) -> None:
    async with control.serving(tmp_path, snapshot(), nobody_waits):
        pass
    assert await control.sessions(tmp_path) == []


async def test_a_killed_sessions_socket_is_removed(tmp_path: Path, runtime: Path) -> None:
    async with control.serving(tmp_path, snapshot(), nobody_waits):
        (live,) = (runtime / "innerloop" / "sessions").iterdir()
        dead = live.with_name(live.name.replace(str(os.getpid()), "1"))
        with socket.socket(socket.AF_UNIX) as left_behind:
            left_behind.bind(str(dead))
        assert len(await control.sessions(tmp_path)) == 1
        assert not dead.exists()


async def test_the_next_session_of_any_project_removes_what_killed_ones_left(tmp_path: Path, runtime: Path) -> None:
    gone = await asyncio.create_subprocess_exec("true")
    await gone.wait()
    dead = runtime / "innerloop" / "sessions" / f"0123456789ab-{gone.pid}.sock"
    dead.parent.mkdir(parents=True)
    dead.touch()
    async with control.serving(tmp_path, snapshot(), nobody_waits):
        assert not dead.exists()


async def test_sessions_of_other_projects_are_not_asked(tmp_path: Path) -> None:
    async with control.serving(tmp_path, snapshot(), nobody_waits):
        assert await control.sessions(tmp_path / "other") == []


def test_a_failed_step_is_forgotten_when_it_starts_again() -> None:
    state = snapshot()
    state(StepFailed(step="render", title="render", seconds=0.1, message="no"))
    assert state.failed == {"render": "no"}
    state(StepStarted(step="render", title="render"))
    assert state.failed == {}


def test_a_stream_that_ended_is_forgotten_with_its_batches() -> None:
    state = snapshot()
    place: dict[str, Any] = {"service": "web", "pod": "web-1", "container": "web"}
    state(SyncStream(**place, state="comparing"))
    state(SyncProgress(**place, files=1, all_files=3, bytes=10, all_bytes=30))
    assert state.sending["web/web-1/web"].all_files == 3
    state(Synced(**place, files=3, deleted=0, bytes=30, seconds=1.0))
    assert not state.sending
    state(SyncStream(**place, state="ended"))
    assert (state.streams, state.syncs) == ({}, {})
