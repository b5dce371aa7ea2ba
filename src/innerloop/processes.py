"""Running other programs, so that none outlives us and their output is never lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from innerloop.errors import LoopError

GRACE_SECONDS = 1.0
"""Between SIGTERM and SIGKILL when we are cancelled: an interrupt ends within two seconds."""


class Completed(NamedTuple):
    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")


class ProgramFailed(LoopError):
    """A program ended with another status than 0; ``detail`` has what it wrote to stderr."""

    def __init__(self, argv: Sequence[str], completed: Completed) -> None:
        output = (completed.stderr or completed.stdout).decode(errors="replace").strip()
        code = completed.code
        ended = f"ended with status {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
        super().__init__(f"{Path(argv[0]).name} {ended}", detail=output or None)
        self.completed = completed


def find_program(name: str, *, purpose: str, hint: str) -> str:
    """Path of a program on PATH.

    Raises LoopError that tells what it is needed for and how to get it.
    """
    path = shutil.which(name)
    if path is None:
        raise LoopError(f"{name} is needed {purpose}, and is not on PATH", hint=hint)
    return path


async def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,
    check: bool = True,
) -> Completed:
    """Run a program to its end and return what it wrote.

    ``env`` adds to the process's own environment. Raises ProgramFailed when ``check`` and the status is not 0.
    Cancelling ends the program and its children.
    """
    async with _spawned(argv, cwd=cwd, env=env, stdin=input is not None, merge=False) as process:
        stdout, stderr = await process.communicate(input)
    completed = Completed(process.returncode or 0, stdout, stderr or b"")
    if check and completed.code:
        raise ProgramFailed(argv, completed)
    return completed


async def stream(
    argv: Sequence[str],
    on_line: Callable[[str], None],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> int:
    """Run a program, hand each line of its merged stdout and stderr to ``on_line``; returns its exit status.

    A carriage return ends a line too (progress bars). Cancelling ends the program and its children; on Linux the
    program also ends when we are killed, since builds may take minutes.
    """
    argv = [*_bound_to_us(argv), *argv]
    async with _spawned(argv, cwd=cwd, env=env, stdin=False, merge=True) as process:
        assert process.stdout is not None
        pending = b""
        while chunk := await process.stdout.read(65536):
            *lines, pending = (pending + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
            for line in lines:
                on_line(line.decode(errors="replace"))
        if pending:
            on_line(pending.decode(errors="replace"))
        return await process.wait()


@contextlib.asynccontextmanager
async def _spawned(
    argv: Sequence[str], *, cwd: Path | None, env: Mapping[str, str] | None, stdin: bool, merge: bool
) -> AsyncIterator[asyncio.subprocess.Process]:
    starting = asyncio.ensure_future(  # noqa: TID251 # it is awaited here, whatever happens
        asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd,
            env={**os.environ, **env} if env else None,
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT if merge else asyncio.subprocess.PIPE,
            # a group of its own: ^C in the terminal is ours to pass on, and children end with it
            start_new_session=True,
        )
    )
    try:
        process = await asyncio.shield(starting)
    except asyncio.CancelledError:
        # it may run, and have children, before we are told; asyncio would end the program alone
        with contextlib.suppress(OSError):
            await _end_group(await starting)
        raise
    except FileNotFoundError as error:
        missing = error.filename or argv[0]
        raise LoopError(f"cannot run {argv[0]}: {missing} does not exist") from error
    except PermissionError as error:
        raise LoopError(f"cannot run {argv[0]}: permission denied") from error
    try:
        yield process
    finally:
        if process.returncode is None:
            await _end_group(process)


def _bound_to_us(argv: Sequence[str]) -> list[str]:
    """A program to go before ``argv`` that has the kernel end it with us; nothing where there is none.

    PR_SET_PDEATHSIG would have to be set between fork and exec, where Python code is neither safe nor fast.
    """
    setpriv = shutil.which("setpriv")
    # a program that is not there is to be told as such, not by setpriv
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv and shutil.which(argv[0]) else []


async def _end_group(process: asyncio.subprocess.Process) -> None:
    _signal_group(process.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        await process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
