"""Running ``loop`` as a user would, and following what a session tells."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.waiting import until

LOOP = Path(sys.executable).with_name("loop")


class Ended(NamedTuple):
    code: int
    stdout: str
    stderr: str


async def loop(*arguments: str, cwd: Path) -> Ended:
    """Run one command to its end."""
    process = await asyncio.create_subprocess_exec(
        LOOP, *arguments, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    stdout, stderr = await process.communicate()
    return Ended(process.returncode or 0, stdout.decode(), stderr.decode())


class Session:
    """A running ``loop dev -o json``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.events.append(json.loads(line))

    async def next(self, kind: str, *, behind: int = 0, timeout: float = 60, **fields: Any) -> dict[str, Any]:
        """The first event of a kind with these fields behind the first ``behind`` events."""

        def find() -> dict[str, Any] | None:
            for event in self.events[behind:]:
                if event["event"] == kind and all(event.get(name) == value for name, value in fields.items()):
                    return event
            if self.process.returncode is not None:
                raise AssertionError(f"loop dev ended with {self.process.returncode}:\n{self.tail()}")
            return None

        found = await until(find, timeout=timeout, what=f"event {kind} {fields}")
        assert found is not None
        return found

    def done(self, *, behind: int = 0) -> list[str]:
        """Steps that were done behind the first ``behind`` events, in order."""
        return [event["step"] for event in self.events[behind:] if event["event"] == "step-done"]

    def tail(self) -> str:
        return "\n".join(json.dumps(event) for event in self.events[-15:])

    async def interrupt(self) -> int:
        """^C, and wait for the end."""
        self.process.send_signal(signal.SIGINT)
        return await self.process.wait()


@contextlib.asynccontextmanager
async def developing(folder: Path, *arguments: str, command: str = "dev") -> AsyncIterator[Session]:
    """A session in ``folder``; interrupted at the end if it still runs then."""
    process = await asyncio.create_subprocess_exec(
        LOOP, command, "-o", "json", *arguments, cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    session = Session(process)
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(session.read(), name="read events")
        try:
            yield session
        finally:
            if process.returncode is None:
                await session.interrupt()
            await asyncio.wait([reading])


async def page(url: str) -> str:
    """What a URL answers, nothing while it does not."""

    def fetch() -> str:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return ""

    return await asyncio.to_thread(fetch)
