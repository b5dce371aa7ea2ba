"""The keeper of a cluster: process 1 of its process namespace (``native/node/keeper``), seen from the machine.

It is found by its command line, which names the cluster's folder: no process number that a record tells could ever
belong to somebody else, and none is lost with a record.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from innerloop import processes
from innerloop.errors import LoopError

KILL_SECONDS = 20.0
"""Until the kernel has ended every process of a cluster with hundreds of pods."""


class ComponentState(msgspec.Struct, frozen=True):
    """What the keeper reports of a component in ``components.json``."""

    name: str
    state: Literal["waiting", "running", "ended"]
    pid: int
    since: float
    """Seconds since the epoch."""
    message: str = ""


async def start(program: Path, folder: Path) -> int:
    """Start the keeper and with it the components of ``plan.json``; returns its process number."""
    completed = await processes.run([str(program), "start", str(folder)], check=False)
    if completed.code:
        raise LoopError(
            "cannot start the cluster's processes",
            detail=completed.stderr.decode(errors="replace").strip(),
            hint="in a container, the built-in cluster needs it to be privileged",
        )
    return int(completed.text)


def find(folder: Path) -> int | None:
    """Process number of the running keeper, None when there is none."""
    return next(_found(folder), None)


def reload(pid: int) -> None:
    """Let the keeper read the plan again and start what does not run."""
    os.kill(pid, signal.SIGHUP)


async def kill(folder: Path) -> bool:
    """End the cluster's processes, all at once by the kernel; returns whether there were any.

    Raises LoopError when they do not end.
    """
    ended = False
    for pid in list(_found(folder)):
        with contextlib.suppress(ProcessLookupError):
            async with _opened(pid) as descriptor:
                # only now is it certain that the number is still the keeper's
                if _is_keeper(pid, folder):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    await _ended(descriptor, pid)
                    ended = True
    return ended


def components(folder: Path) -> list[ComponentState]:
    """The last report of the keeper; empty before the first."""
    try:
        return msgspec.json.decode((folder / "components.json").read_bytes(), type=list[ComponentState])
    except (FileNotFoundError, msgspec.DecodeError):
        return []


def _found(folder: Path) -> Iterator[int]:
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _is_keeper(int(entry), folder):
            yield int(entry)


def _is_keeper(pid: int, folder: Path) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return len(arguments) == 4 and arguments[1:3] == [b"hold", os.fsencode(folder)]


@contextlib.asynccontextmanager
async def _opened(pid: int) -> AsyncIterator[int]:
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


async def _ended(descriptor: int, pid: int) -> None:
    # readable once the process is a zombie, and process 1 of a namespace is one only when all others in it are gone
    deadline = asyncio.get_running_loop().time() + KILL_SECONDS
    while not select.select([descriptor], [], [], 0)[0]:
        if asyncio.get_running_loop().time() > deadline:
            raise LoopError(
                f"the cluster's processes (of process {pid}) do not end",
                detail="the kernel was told to kill them; one may hang in a device or a network file system",
                hint="see 'ps -eo pid,stat,wchan,args | grep D' and try again",
            )
        await asyncio.sleep(0.01)
