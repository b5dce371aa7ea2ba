"""A command in a container with this process's terminal, or its pipes, attached."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import termios
import tty
from collections.abc import Callable, Iterator, Sequence

from innerloop.errors import LoopError, single_failure
from innerloop.kube.client import Client
from innerloop.kube.errors import ConnectionFailed
from innerloop.kube.execution import ExecStream, open_exec
from innerloop.kube.failures import CommandNotStarted

SHELL = ("sh", "-c", "if command -v bash > /dev/null 2>&1; then exec bash; else exec sh; fi")
"""The best shell that there is, found in one go."""
CHUNK = 64 * 1024


async def enter(client: Client, namespace: str, pod: str, container: str, command: Sequence[str] = ()) -> int:
    """Run a command (a shell where it is empty) until it ends; returns its exit status.

    On a terminal the command gets one: raw, of the same size also when that changes, ^C and the like are the
    command's. Otherwise stdin, stdout and stderr stay apart and the end of stdin is the end of the command's input.
    The terminal is restored whatever happens; SIGTERM and SIGHUP end with SystemExit.

    Raises CommandNotStarted, LoopError (no shell), and what ``open_exec`` and ``ExecStream.read`` raise.
    """
    is_terminal = os.isatty(0) and os.isatty(1)
    try:
        with _ended_by_signals():
            async with open_exec(
                client, namespace, pod, container, command or SHELL, stdin=True, tty=is_terminal
            ) as stream:
                with _raw_terminal() if is_terminal else contextlib.nullcontext():
                    return await _attached(stream, is_terminal=is_terminal)
    except CommandNotStarted as error:
        if command:
            raise
        message = f"container {container} of pod {pod} has no shell"
        hint = "run a program that it has: loop exec SERVICE PROGRAM"
        raise LoopError(message, detail=error.detail, hint=hint) from error


async def _attached(stream: ExecStream, *, is_terminal: bool) -> int:
    try:
        async with asyncio.TaskGroup() as tasks:
            feeding = [tasks.create_task(_feed(stream), name="stdin")]
            if is_terminal:
                feeding.append(tasks.create_task(_keep_size(stream), name="terminal size"))
            await _show(stream)
            for task in feeding:
                task.cancel()
    except BaseExceptionGroup as failures:
        raise single_failure(failures) from None
    assert stream.exit_code is not None
    return stream.exit_code


async def _show(stream: ExecStream) -> None:
    with _own_description(1) as out:
        while (piece := await stream.read()) is not None:
            await _write_all(out if piece[0] == "stdout" else 2, piece[1])


async def _feed(stream: ExecStream) -> None:
    fed = False
    try:
        while data := await _read(0):
            fed = True
            await stream.write(data)
        if fed or stream.can_close_stdin:
            await stream.close_stdin()
    except ConnectionFailed:
        # the command has ended, or reading its output tells why not
        return


async def _keep_size(stream: ExecStream) -> None:
    changed = asyncio.Event()
    changed.set()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGWINCH, changed.set)
    try:
        while await changed.wait():
            changed.clear()
            size = os.get_terminal_size(0)
            with contextlib.suppress(ConnectionFailed):
                await stream.resize(size.columns, size.lines)
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    before = termios.tcgetattr(0)
    # at once: what was typed ahead is meant for the command, and waiting for output could take for ever (^S)
    tty.setraw(0, termios.TCSANOW)
    try:
        yield
    finally:
        # a terminal that was closed has nothing to restore
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSANOW, before)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP, where nobody else handles them, unwind like an exception."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    received: list[int] = []

    def end(number: int) -> None:
        received.append(number)
        task.cancel()

    numbers = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is signal.SIG_DFL]
    for number in numbers:
        loop.add_signal_handler(number, end, number)
    try:
        yield
    except asyncio.CancelledError:
        if not received:
            raise
        raise SystemExit(128 + received[0]) from None
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def _own_description(descriptor: int) -> Iterator[int]:
    """The terminal opened anew where it is one: not to block on it is a flag that the shell would share."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            opened = os.open(os.ttyname(descriptor), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
            stack.callback(os.close, opened)
            descriptor = opened
        yield descriptor


async def _read(descriptor: int) -> bytes:
    loop = asyncio.get_running_loop()
    await _until_ready(descriptor, loop.add_reader, loop.remove_reader)
    try:
        return os.read(descriptor, CHUNK)
    except OSError:
        # the terminal was hung up (EIO), or there never was a stdin
        return b""


async def _write_all(descriptor: int, data: bytes) -> None:
    loop = asyncio.get_running_loop()
    view = memoryview(data)
    while view:
        await _until_ready(descriptor, loop.add_writer, loop.remove_writer)
        with contextlib.suppress(BlockingIOError):
            # so much a pipe takes without blocking when it is ready (POSIX)
            view = view[os.write(descriptor, view[: select.PIPE_BUF]) :]


async def _until_ready(descriptor: int, add: Callable[..., None], remove: Callable[[int], bool]) -> None:
    ready = asyncio.Event()
    try:
        add(descriptor, ready.set)
    except OSError:
        # epoll takes no regular files: they are always ready; what is closed, reading and writing tell
        return
    try:
        await ready.wait()
    finally:
        remove(descriptor)
