"""A new process that is asked for comes, though streams break; the helper is a real process."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from innerloop.dev.sync.connection import Disconnected, connected
from innerloop.dev.sync.developed_process import DevelopedProcess
from innerloop.events import Event
from innerloop.project import DevTarget
from tests.dev.sync_containers import CONTAINER, PROGRAM, Pipes


@pytest.mark.parametrize("asked", ["before the stream ends", "after it ended"])
async def test_what_was_asked_for_on_a_stream_that_ends_is_owed(tmp_path: Path, asked: str) -> None:
    events: list[Event] = []
    process = DevelopedProcess(DevTarget(name="web"), CONTAINER, events.append, lambda: None)
    helper = await asyncio.create_subprocess_exec(PROGRAM, "sync", tmp_path, stdin=-1, stdout=-1)
    async with connected(Pipes(helper), process.take) as connection:
        await connection.greet()
        process.connect(connection, is_supervised=True)
        helper.send_signal(signal.SIGSTOP)
        answer = await process.restart(1) if asked.startswith("before") else None
        assert process.is_started(1) == (answer is None)
        helper.kill()
        with pytest.raises(Disconnected):
            await (answer or connection.commit())
        if answer is None:
            with pytest.raises(Disconnected):
                await process.restart(1)
    await helper.wait()
    assert [process.take_owed(), process.take_owed()] == [True, False]
    assert process.is_started(1)
    assert not events
