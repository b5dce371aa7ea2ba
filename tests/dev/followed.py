"""A tree that is kept current by a watch, as a sync keeps it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from innerloop.dev.ignoring import Ignore, read_rules
from innerloop.dev.sync.local_tree import Entry, Key, LocalTree, SyncRoot
from innerloop.dev.sync.looking import look
from innerloop.dev.watching.batches import Watch
from innerloop.dev.watching.watching import watch

EVERYTHING = Key(0, b"")


class Followed:
    """What a folder holds, as it is known and as it is."""

    def __init__(self, folder: Path, rules: Ignore, changes: Watch) -> None:
        self.folder = folder
        self.changes = changes
        self.batches: list[frozenset[str]] = []
        self._rules = rules
        self._tree = LocalTree([SyncRoot(folder, "/app")])
        self._look(self._tree, [EVERYTHING])

    async def run(self) -> None:
        async for batch in self.changes:
            self.batches.append(batch)
            self._look(self._tree, [key for path in batch for key in self._tree.keys(path)])

    async def known(self) -> dict[bytes, Entry]:
        """What is known once all that was done so far is taken in."""
        assert await self.changes.caught_up()
        return {key.path: entry for key, entry in self._tree.entries.items()}

    def real(self) -> dict[bytes, Entry]:
        """What a first look finds."""
        tree = LocalTree(self._tree.roots)
        self._look(tree, [EVERYTHING])
        return {key.path: entry for key, entry in tree.entries.items()}

    async def content(self, name: str) -> bytes:
        """Digest of a file as it is known."""
        entry = (await self.known()).get(name.encode())
        return entry.digest if entry else b""

    def _look(self, tree: LocalTree, at: list[Key]) -> None:
        tree.take(look(tree, at, {0: self._rules.ignores}), lambda key, folder: False)


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@asynccontextmanager
async def followed(folder: Path) -> AsyncIterator[Followed]:
    rules = await read_rules(folder)
    with watch([folder], rules) as changes:
        found = Followed(folder, rules, changes)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(found.run(), name="follow")
            yield found
            task.cancel()
