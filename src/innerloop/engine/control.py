"""How other commands reach a running session: a Unix socket that answers requests.

One request a connection: the client writes one line of JSON (``Request``) and reads one JSON object (``Answer``) to
the end of the stream. The socket's name has the project's folder (hashed: a socket's path may have 107 bytes only)
and the process id.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec

from innerloop.engine.snapshot import Snapshot
from innerloop.errors import LoopError
from innerloop.paths import runtime_dir

ANSWER_SECONDS = 2.0


class Show(msgspec.Struct, frozen=True, tag_field="request", tag="show"):
    """Asks for the snapshot."""


class WaitLive(msgspec.Struct, frozen=True, kw_only=True, tag_field="request", tag="wait-live"):
    """Asks to be told when everything that was saved until now is live in every container."""

    services: tuple[str, ...]
    """Empty: all that the session develops."""
    patience: float
    """Seconds for which a container may be out of reach."""


Request = Show | WaitLive


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A LoopError in an answer."""

    message: str
    detail: str = ""
    hint: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a request led to; to ``Show`` a snapshot, to ``WaitLive`` problems, to any a refusal."""

    snapshot: Snapshot | None = None
    problems: tuple[str, ...] = ()
    """What cannot be synced."""
    refused: Refusal | None = None


Waiter = Callable[[tuple[str, ...], float], Awaitable[list[str]]]
"""What answers ``WaitLive``: services and patience to problems. Raises LoopError."""


@contextlib.asynccontextmanager
async def serving(folder: Path, snapshot: Snapshot, wait_live: Waiter) -> AsyncIterator[None]:
    """Answer on this process's socket for the project in ``folder`` while the body runs."""
    tasks: set[asyncio.Task[None]] = set()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.LimitOverrunError), contextlib.closing(writer):
            writer.write(msgspec.json.encode(await _answer(await reader.readline(), snapshot, wait_live)))
            await writer.drain()

    path = _socket(folder, str(os.getpid()))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_dead(path.parent)
    path.unlink(missing_ok=True)
    async with asyncio.TaskGroup() as group:

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = group.create_task(respond(reader, writer), name="answer a command")
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_unix_server(accept, path)
        try:
            yield
        finally:
            server.close()
            path.unlink(missing_ok=True)
            for task in tasks:
                task.cancel()


async def _answer(line: bytes, snapshot: Snapshot, wait_live: Waiter) -> Answer:
    try:
        request = msgspec.json.decode(line, type=Request)
    except msgspec.DecodeError as error:
        return Answer(
            refused=Refusal(
                message="the running session does not know this request",
                detail=str(error),
                hint="it may be of another version of loop: end it and start it anew",
            )
        )
    if isinstance(request, Show):
        return Answer(snapshot=snapshot)
    try:
        return Answer(problems=tuple(await wait_live(request.services, request.patience)))
    except LoopError as error:
        return Answer(refused=Refusal(message=str(error), detail=error.detail or "", hint=error.hint or ""))


async def sessions(folder: Path) -> list[Snapshot]:
    """Snapshots of all sessions of the project in ``folder``; sockets of dead processes are removed."""
    pattern = _socket(folder, "*")
    answers = [await _show(path) for path in sorted(pattern.parent.glob(pattern.name))]
    return [answer for answer in answers if answer is not None]


async def wait_live(folder: Path, pid: int, services: tuple[str, ...], patience: float) -> list[str]:
    """Wait until a session of the project in ``folder`` tells that all is live; returns what cannot be synced.

    Raises LoopError when it refuses, or ends meanwhile.
    """
    try:
        answer = await _ask(_socket(folder, str(pid)), WaitLive(services=services, patience=patience))
    except (OSError, msgspec.DecodeError) as error:
        raise LoopError(f"the session of process {pid} ended meanwhile") from error
    if answer.refused:
        raise LoopError(answer.refused.message, detail=answer.refused.detail or None, hint=answer.refused.hint or None)
    return list(answer.problems)


async def _show(path: Path) -> Snapshot | None:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return (await _ask(path, Show())).snapshot
    except (ConnectionRefusedError, FileNotFoundError):
        path.unlink(missing_ok=True)
    except (TimeoutError, ConnectionError, msgspec.DecodeError):
        # a session that just ends, or is stopped by ^Z: it is there, and has nothing to say
        return None
    return None


async def _ask(path: Path, request: Request) -> Answer:
    reader, writer = await asyncio.open_unix_connection(path)
    with contextlib.closing(writer):
        writer.write(msgspec.json.encode(request) + b"\n")
        return msgspec.json.decode(await reader.read(), type=Answer)


def _remove_dead(folder: Path) -> None:
    """Remove the sockets of killed processes, of any project: nobody may ever ask for them again."""
    for path in folder.glob("*.sock"):
        try:
            os.kill(int(path.stem.rpartition("-")[2]), 0)
        except ProcessLookupError:
            path.unlink(missing_ok=True)
        except PermissionError:
            continue  # it lives, as someone else


def _socket(folder: Path, pid: str) -> Path:
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    return runtime_dir() / "sessions" / f"{name}-{pid}.sock"
