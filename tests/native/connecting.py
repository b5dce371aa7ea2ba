"""A helper without a container, spoken to as `loop` does: its pipes instead of an exec stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from innerloop.dev.sync.connection import Connection, connected
from innerloop.dev.sync.protocol import Change, Changed, Found, Listed, Listing, State
from tests.dev.sync_containers import Pipes
from tests.waiting import until


class Helper:
    """A connection, and what the helper told by itself."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.changes: list[Changed] = []
        self.states: list[State] = []
        self.connection: Connection

    async def watch(self, *folders: bytes, root: int = 0) -> None:
        for folder in folders:
            listed = await self.connection.list_folder(root, folder, watch=True)
            assert listed.listing == Listing.END, listed

    async def look(self, path: bytes, root: int = 0) -> Found:
        (found,) = await self.connection.look([(root, path)])
        return found

    def told(self, folder: bytes, name: bytes, root: int = 0) -> int:
        """How often a name was told."""
        return self.changes.count(Changed(root, Change.NAME, folder, name))

    async def until_told(self, folder: bytes, name: bytes, root: int = 0) -> None:
        await until(lambda: self.told(folder, name, root), what=f"{name!r} in {folder!r} told: {self.changes}")

    async def until_gone(self, folder: bytes) -> None:
        gone = Changed(0, Change.GONE, folder, b"")
        await until(lambda: gone in self.changes, what=f"{folder!r} told to be gone: {self.changes}")


@asynccontextmanager
async def helper_on(
    program: Path, roots: Iterable[Path], *, user: int | None = None, within: Iterable[str] = ()
) -> AsyncIterator[Helper]:
    """A greeted helper, which has to end in order; a sanitizer's report or a crash shows in its status.

    ``within``: a command that runs the program, as an exec does in a container.
    """
    process = await asyncio.create_subprocess_exec(
        *within,
        program,
        "sync",
        *roots,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        user=user,
        group=user,
        extra_groups=[] if user is not None else None,
    )
    helper = Helper(process)

    def on_reply(reply: object) -> None:
        if isinstance(reply, State):
            helper.states.append(reply)

    async with connected(Pipes(process), on_reply, helper.changes.append) as helper.connection:
        await helper.connection.greet()
        yield helper
        assert process.stdin and process.stderr
        process.stdin.close()
        async with asyncio.timeout(60):
            errors = await process.stderr.read()
            assert await process.wait() == 0, errors.decode()


def entries(listed: Listed) -> dict[bytes, Found]:
    assert listed.listing == Listing.END, listed
    found = dict(listed.entries)
    assert len(found) == len(listed.entries)
    return found
