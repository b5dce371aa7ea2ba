"""`loop-helper run` as process 1 of its own process and mount namespaces, as in a container."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from innerloop.dev.sync import protocol
from innerloop.dev.sync.protocol import ProcessCode, RestartResult, SignalResult
from tests.native.receiver import Receiver
from tests.waiting import until

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="namespaces need root")

APP = """
import os, signal, sys, time
print("started", os.getpid(), *sys.argv[1:], flush=True)
def leave(number, frame):
    print("got", signal.Signals(number).name, flush=True)
    if number == signal.SIGTERM:
        sys.exit(7)
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, leave)
while True:
    time.sleep(60)
"""
STUBBORN = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)"


class Container:
    """A supervisor in namespaces of its own."""

    def __init__(self, helper: Path, process: asyncio.subprocess.Process) -> None:
        self.helper = helper
        self.process = process
        self.pid = 0
        self.lines: list[str] = []

    async def read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip())

    async def line(self, start: str, count: int = 1) -> str:
        found = await until(
            lambda: [line for line in self.lines if line.startswith(start)][count - 1 :],
            what=f"{start!r} in {self.lines}",
        )
        return found[0]

    async def supervisor(self) -> int:
        """Process id of the supervisor, as this namespace sees it."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        # unshare mounts /proc between its fork and the start of the helper, which is looked for there
        helper = str(self.helper).encode()

        def started() -> list[str]:
            found = children.read_text().split()
            return [pid for pid in found if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(helper)]

        found = await until(started)
        return int(found[0])

    def within(self, *command: str | Path) -> list[str | Path]:
        """A command as `kubectl exec` would start it: in the namespaces of the container."""
        return ["nsenter", "--target", str(self.pid), "--mount", "--pid", *command]

    async def signal(self, number: signal.Signals) -> None:
        """From within the container, as its own processes do."""
        process = await asyncio.create_subprocess_exec(*self.within("kill", f"-{number.value}", "1"))
        assert await process.wait() == 0

    async def receiver(self, root: Path) -> Receiver:
        process = await asyncio.create_subprocess_exec(
            *self.within(self.helper, "sync", root), stdin=-1, stdout=-1, stderr=-1
        )
        return Receiver(process)


Run = Callable[..., Awaitable[Container]]


@pytest.fixture
async def run(helper: Path) -> AsyncIterator[Run]:
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:

        async def start(*command: str, grace: int = 5000) -> Container:
            process = await asyncio.create_subprocess_exec(
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *(str(helper), "run", "--grace", str(grace), "--", *command),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            container = Container(helper, process)
            group.create_task(container.read(), name="read output")
            stack.push_async_callback(end, process)
            container.pid = await container.supervisor()
            return container

        yield start
        await stack.aclose()


async def end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def python(code: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *arguments)


async def test_arguments_reach_the_command(run: Run) -> None:
    container = await run(*python(APP, "one", "two words"))
    assert (await container.line("started")).endswith(" one two words")


async def test_stop_signal_reaches_the_command_first_and_its_status_is_handed_on(run: Run) -> None:
    container = await run(*python(APP))
    await container.line("started")
    os.kill(container.pid, signal.SIGTERM)
    assert await container.process.wait() == 7
    assert "got SIGTERM" in container.lines


async def test_any_signal_from_outside_of_the_container_is_its_stop_signal(run: Run) -> None:
    container = await run(*python("import time\nprint('up', flush=True)\ntime.sleep(60)"))
    await container.line("up")
    os.kill(container.pid, signal.SIGUSR2)
    assert await container.process.wait() == 128 + signal.SIGUSR2


async def test_other_signals_are_passed_on_and_change_nothing(run: Run) -> None:
    container = await run(*python(APP))
    await container.line("started")
    await container.signal(signal.SIGHUP)
    await container.line("got SIGHUP")
    await container.signal(signal.SIGUSR1)
    await container.line("got SIGUSR1")
    assert container.process.returncode is None


async def test_container_outlives_its_command_and_tells_the_status(run: Run) -> None:
    container = await run("sh", "-c", "exit 3")
    assert "sh ended with status 3; the container stays" in await container.line("[innerloop]")
    assert container.process.returncode is None
    os.kill(container.pid, signal.SIGTERM)
    assert await container.process.wait() == 3


async def test_signal_that_ended_the_command_is_told(run: Run) -> None:
    container = await run("sh", "-c", "kill -9 $$")
    assert "sh was ended by signal 9 (Killed)" in await container.line("[innerloop]")


async def test_command_that_cannot_start_is_told(run: Run) -> None:
    container = await run("/no/such/program")
    assert await container.line("[innerloop]") == (
        "[innerloop] cannot start /no/such/program: No such file or directory"
    )
    assert container.process.returncode is None


async def test_restart_is_answered_when_the_new_process_runs(run: Run, tmp_path: Path) -> None:
    container = await run(*python(APP))
    await container.line("started")
    receiver = await container.receiver(tmp_path)
    assert (await receiver.greet()).supervised
    before = await receiver.reply()
    receiver.send(protocol.restart(5))
    states = [await receiver.reply() for _ in range(3)]
    await receiver.end()
    assert isinstance(before, protocol.State)
    assert before.process == ProcessCode.RUNNING
    assert [type(state).__name__ for state in states] == ["State", "Restarted", "State"]
    restarting, answer, running = states
    assert isinstance(restarting, protocol.State)
    assert restarting.process == ProcessCode.RESTARTING
    assert answer == protocol.Restarted(5, RestartResult.STARTED, "")
    assert isinstance(running, protocol.State)
    assert running.process == ProcessCode.RUNNING
    assert running.pid != before.pid
    await container.line("started", 2)


async def test_process_that_ignores_the_signal_is_killed_after_the_grace_period(run: Run) -> None:
    container = await run(*python(STUBBORN), grace=200)
    await container.line("up")
    restart = await asyncio.create_subprocess_exec(*container.within(container.helper, "restart"))
    assert await restart.wait() == 0
    await container.line("up", 2)
    assert "did not end 0.2 s after SIGTERM: killed" in await container.line("[innerloop]")


async def test_children_of_the_former_process_are_gone_before_the_new_one_starts(run: Run) -> None:
    code = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {STUBBORN!r}])\nprint('main', flush=True)"
    container = await run(*python(code), grace=200)
    await container.line("up")
    await container.line("[innerloop]")
    restart = await asyncio.create_subprocess_exec(*container.within(container.helper, "restart"))
    assert await restart.wait() == 0
    await container.line("up", 2)
    processes = await asyncio.create_subprocess_exec(*container.within("pgrep", "-c", "python"), stdout=-1)
    assert (await processes.communicate())[0].strip() == b"1"


async def test_restart_mends_a_command_that_ended(run: Run, tmp_path: Path) -> None:
    container = await run("sh", "-c", f"cat {tmp_path}/missing && exec sleep 60")
    await container.line("[innerloop]")
    (tmp_path / "missing").write_text("there now\n")
    restart = await asyncio.create_subprocess_exec(*container.within(container.helper, "restart"))
    assert await restart.wait() == 0
    await container.line("there now")


async def test_exit_is_told_to_receivers(run: Run, tmp_path: Path) -> None:
    signal_file = tmp_path / "go"
    container = await run("sh", "-c", f"until [ -e {signal_file} ]; do sleep 0.01; done; exit 4")
    receiver = await container.receiver(tmp_path)
    await receiver.greet()
    signal_file.touch()
    while (state := await receiver.reply()) and isinstance(state, protocol.State):
        if state.process == ProcessCode.EXITED:
            break
    await receiver.end()
    assert state == protocol.State(ProcessCode.EXITED, 0, 4)


async def test_signal_reaches_all_processes_of_the_command(run: Run, tmp_path: Path) -> None:
    container = await run("sh", "-c", "trap 'echo shell got it' HUP; (trap 'echo child got it' HUP; echo up; "
        "while :; do sleep 0.01; done) & while :; do wait; done")  # fmt: skip
    await container.line("up")
    receiver = await container.receiver(tmp_path)
    await receiver.greet()
    assert isinstance(await receiver.reply(), protocol.State)
    receiver.send(protocol.signal(9, signal.SIGHUP))
    assert await receiver.reply() == protocol.Signalled(9, SignalResult.SENT)
    await container.line("shell got it")
    await container.line("child got it")
    await receiver.end()


async def test_signal_without_a_process_is_answered(run: Run, tmp_path: Path) -> None:
    container = await run("sh", "-c", "exit 3")
    await container.line("[innerloop]")
    receiver = await container.receiver(tmp_path)
    await receiver.greet()
    assert isinstance(await receiver.reply(), protocol.State)
    receiver.send(protocol.signal(9, signal.SIGHUP))
    assert await receiver.reply() == protocol.Signalled(9, SignalResult.NO_PROCESS)
    await receiver.end()


@pytest.mark.parametrize("number", [0, 65, 255])
async def test_signal_that_is_none_harms_nobody(run: Run, tmp_path: Path, number: int) -> None:
    container = await run(*python(APP))
    await container.line("started")
    receiver = await container.receiver(tmp_path)
    await receiver.greet()
    assert isinstance(await receiver.reply(), protocol.State)
    receiver.send(protocol.signal(9, number) + protocol.signal(10, signal.SIGUSR1))
    assert isinstance(await receiver.reply(), protocol.Signalled)
    assert await receiver.reply() == protocol.Signalled(10, SignalResult.SENT)
    await container.line("got SIGUSR1")
    await receiver.end()


async def test_orphans_are_reaped(run: Run) -> None:
    container = await run("sh", "-c", "for i in 1 2 3; do (sh -c 'exit 0' &) ; done; echo done; exec sleep 60")
    await container.line("done")

    def no_zombies() -> bool:
        try:
            children = Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split()
            return not any("Z (zombie)" in Path(f"/proc/{child}/status").read_text() for child in children)
        except FileNotFoundError:
            return False  # reaped while we looked

    await until(no_zombies)


async def test_restart_without_supervisor_says_so(helper: Path) -> None:
    process = await asyncio.create_subprocess_exec("unshare", "--mount", helper, "restart", stderr=-1)
    assert (await process.communicate())[1] == b"no supervisor in this container\n"
    assert process.returncode == 3


async def test_usage_is_told_for_what_is_not_understood(helper: Path) -> None:
    process = await asyncio.create_subprocess_exec(helper, "run", "sleep", stderr=-1)
    assert (await process.communicate())[1].startswith(b"usage: loop-helper run")
    assert process.returncode == 2
