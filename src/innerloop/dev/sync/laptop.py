"""Commands of this machine that follow a sync: once for each change, however many containers get it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from innerloop.dev.sync.local_tree import Entry, Key
from innerloop.errors import LoopError
from innerloop.processes import stream

Changes = Mapping[Key, Entry | None]
"""What changed and what it is now, None for what is gone."""


class Laptop(NamedTuple):
    """Where commands of this machine run."""

    folder: Path
    variables: Mapping[str, str]
    """Added to the process's own environment."""


class _Failure(NamedTuple):
    changes: Changes
    error: LoopError
    told: set[object]
    """The askers that know: when one of them asks again, it wants another try."""


class LaptopCommands:
    """The commands of one target. Each container asks for them when it has the change; the first one's asking runs
    the command, the others get what came of it."""

    def __init__(self, laptop: Laptop, everywhere: Callable[[], Awaitable[None]]) -> None:
        """``everywhere`` returns when all containers have what is here."""
        self._laptop = laptop
        self._everywhere = everywhere
        self._one_at_a_time = asyncio.Lock()
        self._done: dict[str, dict[Key, Entry | None]] = {}
        self._failures: dict[str, _Failure] = {}

    async def run(self, command: str, changes: Changes, asker: object, work: Callable[[], Awaitable[None]]) -> None:
        """Have ``work`` run the command if any of the changes is new to it. Raises the LoopError of a failure."""
        async with self._one_at_a_time:
            known = self._done.setdefault(command, {})
            new = {key: entry for key, entry in changes.items() if key not in known or known[key] != entry}
            if not new:
                return
            failure = self._failures.get(command)
            if failure and new.items() <= failure.changes.items() and asker not in failure.told:
                failure.told.add(asker)
                raise failure.error
            await self._everywhere()
            try:
                await work()
            except LoopError as error:
                self._failures[command] = _Failure(new, error, {asker})
                raise
            known.update(new)
            self._failures.pop(command, None)

    async def shell(self, command: str, on_line: Callable[[str], None]) -> int:
        """Run a command by the shell in the project's folder; returns its exit status. Cancelling ends it."""
        return await stream(["sh", "-c", command], on_line, cwd=self._laptop.folder, env=self._laptop.variables)
