"""How other commands reach a running session: a Unix socket that answers with its snapshot.

One request a connection: the client connects and reads one JSON object (``Snapshot``) to the end of the stream.
The socket's name has the project's folder (hashed: a socket's path may have 107 bytes only) and the process id.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from innerloop.engine.snapshot import Snapshot
from innerloop.paths import runtime_dir

ANSWER_SECONDS = 2.0


@contextlib.asynccontextmanager
async def serving(folder: Path, snapshot: Snapshot) -> AsyncIterator[None]:
    """Answer on this process's socket for the project in ``folder`` while the body runs."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            writer.write(msgspec.json.encode(snapshot))
            await writer.drain()

    path = _socket(folder, str(os.getpid()))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_dead(path.parent)
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(answer, path)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def sessions(folder: Path) -> list[Snapshot]:
    """Snapshots of all sessions of the project in ``folder``; sockets of dead processes are removed."""
    pattern = _socket(folder, "*")
    answers = [await _ask(path) for path in sorted(pattern.parent.glob(pattern.name))]
    return [answer for answer in answers if answer is not None]


async def _ask(path: Path) -> Snapshot | None:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            with contextlib.closing(writer):
                return msgspec.json.decode(await reader.read(), type=Snapshot)
    except (ConnectionRefusedError, FileNotFoundError):
        path.unlink(missing_ok=True)
    except (TimeoutError, ConnectionError, msgspec.DecodeError):
        # a session that just ends, or is stopped by ^Z: it is there, and has nothing to say
        return None
    return None


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
