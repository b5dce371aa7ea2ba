"""Other commands find running sessions."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from innerloop.engine import control
from innerloop.engine.snapshot import Snapshot
from innerloop.events import Forwarding, StepFailed, StepStarted


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # a socket's path may have 107 bytes
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        yield Path(short)


def snapshot() -> Snapshot:
    return Snapshot(project="vote", context="kind", namespace="mine", folder="/src", pid=os.getpid(), started="now")


async def test_a_session_answers_with_its_snapshot(tmp_path: Path) -> None:
    state = snapshot()
    state(Forwarding(service="web", address="127.0.0.1", local=8085, remote=80, state="up"))
    async with control.serving(tmp_path, state):
        assert await control.sessions(tmp_path) == [state]


async def test_an_ended_session_is_not_found(tmp_path: Path) -> None:
    async with control.serving(tmp_path, snapshot()):
        pass
    assert await control.sessions(tmp_path) == []


async def test_a_killed_sessions_socket_is_removed(tmp_path: Path, runtime: Path) -> None:
    async with control.serving(tmp_path, snapshot()):
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
    async with control.serving(tmp_path, snapshot()):
        assert not dead.exists()


async def test_sessions_of_other_projects_are_not_asked(tmp_path: Path) -> None:
    async with control.serving(tmp_path, snapshot()):
        assert await control.sessions(tmp_path / "other") == []


def test_a_failed_step_is_forgotten_when_it_starts_again() -> None:
    state = snapshot()
    state(StepFailed(step="render", title="render", seconds=0.1, message="no"))
    assert state.failed == {"render": "no"}
    state(StepStarted(step="render", title="render"))
    assert state.failed == {}
