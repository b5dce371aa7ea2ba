"""How a command runs asynchronous work: its events shown, its signals understood, its failures one error."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TextIO, TypeVar

from innerloop.events import Emit

T = TypeVar("T")


def run(work: Callable[[Emit], Coroutine[Any, Any, T]], *, output: str = "text", stream: TextIO | None = None) -> T:
    """Run ``work`` to its end and show its events on ``stream`` (stdout).

    ^C and SIGTERM cancel the work, which cleans up, and raise KeyboardInterrupt; a second ^C does not wait for that.
    """
    from innerloop.errors import single_failure
    from innerloop.ui.json_lines import JsonLines
    from innerloop.ui.terminal import Terminal

    target = stream or sys.stdout
    interface = JsonLines(target) if output == "json" else Terminal(target, interactive=target.isatty())
    try:
        return asyncio.run(_terminable(work(interface)))
    except BaseExceptionGroup as failures:
        raise single_failure(failures) from None
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        interface.close()


async def _terminable(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    return await work
