"""Work that is shown: ended by signals, and by an output that takes no more."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from innerloop.cli.running import run
from innerloop.events import Emit, Notice

LOOP = Path(sys.executable).with_name("loop")


class Refusing(io.StringIO):
    """Output that takes nothing."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def flush(self) -> None:
        raise OSError(self.number, os.strerror(self.number))


class Endless:
    """Work that goes on until it is cancelled, and takes a while to clean up."""

    def __init__(self, *signals: signal.Signals) -> None:
        self.signals = signals
        self.cleaned_up = False

    async def __call__(self, emit: Emit) -> None:
        try:
            emit(Notice(level="info", message="started"))
            for number in self.signals:
                os.kill(os.getpid(), number)
            await asyncio.sleep(60)
        finally:
            emit(Notice(level="info", message="cleaning up"))
            await asyncio.sleep(0.05)
            self.cleaned_up = True


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC])
def test_work_whose_output_nobody_takes_ends(output: str, number: int) -> None:
    work = Endless()
    with pytest.raises(OSError, match=os.strerror(number)):
        run(work, output=output, stream=Refusing(number))
    assert work.cleaned_up


def test_a_terminal_that_was_closed_ends_work_like_an_interrupt() -> None:
    work = Endless()
    with pytest.raises(KeyboardInterrupt):
        run(work, stream=Refusing(errno.EIO))
    assert work.cleaned_up


def test_several_signals_let_work_clean_up() -> None:
    work = Endless(signal.SIGHUP, signal.SIGTERM, signal.SIGHUP)
    with pytest.raises(KeyboardInterrupt):
        run(work, stream=io.StringIO())
    assert work.cleaned_up


def test_closed_standard_streams_are_no_crash(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").write_text("name: shop\n")
    env = {**os.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "none")}
    # no cluster: an error for users
    for closed in ("<&-", "<&- >&-", ">&-", "<&- >&- 2>&-"):
        command = ["sh", "-c", f"{LOOP} dev {closed}"]
        assert subprocess.run(command, cwd=tmp_path, env=env, capture_output=True).returncode == 1, closed
