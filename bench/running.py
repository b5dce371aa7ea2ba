"""Programs that go on running, and what they say when."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.measuring import NotMeasured

PATIENCE_SECONDS = 300.0


class Line(NamedTuple):
    at: float
    """``time.perf_counter`` when it was read."""
    text: str


class Running:
    """A program whose output is read all the time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.started = time.perf_counter()
        self.process = process
        self.lines: list[Line] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, name=f"output of {process.args!r}")
        self._reader.start()

    def wait(self, fits: Callable[[str], bool], *, behind: int = 0, patience: float = PATIENCE_SECONDS) -> Line:
        """The first fitting line behind the first ``behind`` ones. Raises NotMeasured where none comes."""
        deadline = time.monotonic() + patience
        seen = behind
        with self._news:
            while True:
                for line in self.lines[seen:]:
                    if fits(line.text):
                        return line
                seen = len(self.lines)
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    break
                self._news.wait(left)
        why = "ended" if self._ended else f"did not say it within {patience:.0f} s"
        raise NotMeasured(f"{self.process.args!r} {why}:\n" + "\n".join(line.text for line in self.lines[-60:]))

    def stop(self) -> None:
        """^C, and harder where that does not help."""
        for number, patience in ((signal.SIGINT, 30), (signal.SIGTERM, 10), (signal.SIGKILL, 10)):
            self.process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
                break
        self._reader.join(10)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            with self._news:
                self.lines.append(Line(time.perf_counter(), text.rstrip("\n")))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


@contextlib.contextmanager
def running(argv: Sequence[str | Path], folder: Path, env: Mapping[str, str]) -> Iterator[Running]:
    """A program in a folder; ``env`` adds to the process's own environment."""
    process = subprocess.Popen(
        argv,
        cwd=folder,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    program = Running(process)
    try:
        yield program
    finally:
        program.stop()
