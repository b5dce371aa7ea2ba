"""No program outlives us."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from innerloop import processes
from innerloop.errors import LoopError
from tests.running import is_running
from tests.waiting import until

PROGRAM = """\
import asyncio, sys
from innerloop import processes
asyncio.run(processes.stream(["sh", "-c", "echo $$ > " + sys.argv[1] + "; exec sleep 60"], print))
"""


async def pid_in(file: Path) -> int:
    text = await until(lambda: file.is_file() and file.read_text().strip(), what="the program's pid")
    return int(text)


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
async def test_a_streamed_program_ends_when_we_are_killed(tmp_path: Path) -> None:
    ours = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, tmp_path / "pid")
    pid = await pid_in(tmp_path / "pid")
    ours.kill()
    await ours.wait()
    await until(lambda: not is_running(pid), what="the end of the program")


async def test_cancelling_ends_a_program_that_ignores_being_asked(tmp_path: Path) -> None:
    script = f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.1; done"
    async with asyncio.TaskGroup() as group:
        work = group.create_task(processes.stream(["sh", "-c", script], lambda line: None), name="stream")
        pid = await pid_in(tmp_path / "pid")
        work.cancel()
    assert not is_running(pid)


async def test_cancelling_ends_the_children_of_a_program_that_has_just_been_started(tmp_path: Path) -> None:
    script = f"sleep 1000 & echo $! > {tmp_path}/pid; wait"
    async with asyncio.TaskGroup() as group:
        work = group.create_task(processes.stream(["sh", "-c", script], lambda line: None), name="stream")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        deadline = time.monotonic() + 30
        # the event loop stands still, so nobody has been told yet that the program runs
        while not ((tmp_path / "pid").is_file() and (tmp_path / "pid").read_text()):
            assert time.monotonic() < deadline
        work.cancel()
    child = int((tmp_path / "pid").read_text())
    await until(lambda: not is_running(child), what="the end of the child")


async def test_a_missing_program_is_told_by_its_name() -> None:
    with pytest.raises(LoopError, match="cannot run no-such-program"):
        await processes.stream(["no-such-program"], lambda line: None)


async def test_a_program_that_was_ended_by_a_signal_is_told_so() -> None:
    with pytest.raises(processes.ProgramFailed, match=f"was ended by {signal.Signals.SIGKILL.name}"):
        await processes.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
