"""How a command runs asynchronous work: its events shown, its signals understood, its failures one error."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from innerloop.events import Emit, Event

if TYPE_CHECKING:
    from innerloop.ui.json_lines import JsonLines
    from innerloop.ui.terminal import Terminal

T = TypeVar("T")

TICK_SECONDS = 1.0
"""How often an interface may tell what is due though nothing happens."""


def run(work: Callable[[Emit], Coroutine[Any, Any, T]], *, output: str = "text", stream: TextIO | None = None) -> T:
    """Run ``work`` to its end and show its events on ``stream`` (stdout).

    ^C, SIGTERM and SIGHUP cancel the work, which cleans up, and raise KeyboardInterrupt; a second ^C does not wait for
    that. Output that cannot be written (its reader went away, the disk is full) cancels it too, and raises OSError.
    """
    from innerloop.errors import single_failure
    from innerloop.ui.json_lines import JsonLines
    from innerloop.ui.terminal import Terminal

    # a cancelled start of a program closes it, which takes its status away from asyncio's own watcher of children
    logging.getLogger("asyncio").addFilter(lambda record: "will report returncode 255" not in str(record.msg))
    target = stream or sys.stdout
    shown = _Shown(JsonLines(target) if output == "json" else Terminal(target, interactive=target.isatty()))
    try:
        return asyncio.run(shown.until_stopped(work(shown)))
    except BaseExceptionGroup as failures:
        raise single_failure(failures) from None
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        shown.close()


class _Shown:
    """The subscriber of the work's events: they are shown as long as there is somebody to see them."""

    def __init__(self, interface: JsonLines | Terminal) -> None:
        self._interface = interface
        self._task: asyncio.Task[Any] | None = None
        self._stopped = False
        self._failure: OSError | None = None

    def __call__(self, event: Event) -> None:
        self._write(lambda: self._interface(event))

    async def until_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` until its end, a signal, or the end of the output."""
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop)
        self._tick()
        return await work

    def close(self) -> None:
        """Raises OSError when output could not be written."""
        self._write(self._interface.close)
        # of a terminal that was closed (EIO), SIGHUP tells, and there is nobody to tell
        if self._failure is not None and self._failure.errno != errno.EIO:
            raise self._failure

    def _tick(self) -> None:
        self._write(self._interface.tick)
        asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _write(self, write: Callable[[], None]) -> None:
        if self._failure is not None:
            return
        try:
            write()
        except OSError as error:
            self._failure = error
            self._stop()

    def _stop(self) -> None:
        # once: cancelled again, the work could not clean up; a terminal that closes may send several signals
        if self._task is not None and not self._stopped:
            self._stopped = True
            self._task.cancel()
