"""What is marked for being sent to one container, and how far that is."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import NamedTuple

from innerloop.dev.sync.local_tree import Content, Key

ROOM = 4 * 1024 * 1024
"""So many bytes of contents wait for being sent at most; what else there is, is read again when its turn comes."""


class Marked(NamedTuple):
    """What is sent together."""

    keys: Collection[Key]
    since: float
    """When the first of them changed (event loop time)."""
    contents: Mapping[Key, Content] = {}
    """Of some of them, what was read when they were looked at."""


class Pending:
    """The marks of one container. Its numbers tell what is there: each mark gets the next one."""

    def __init__(self) -> None:
        self.marked = 0
        """Number of the last mark."""
        self.taken = 0
        """The last mark when the last batch began."""
        self.arrived = 0
        """The last mark when the last batch that arrived began."""
        self._keys: set[Key] = set()
        self._since = 0.0
        self._contents: dict[Key, Content] = {}
        self._size = 0
        self._wake = asyncio.Event()

    def mark(self, keys: Collection[Key], since: float, contents: Mapping[Key, Content]) -> None:
        """These changed at ``since``."""
        self.marked += 1
        if not self._keys:
            self._since = since
        self._keys.update(keys)
        for key, content in contents.items():
            if self._size + len(content.data) <= ROOM:
                self._contents[key] = content
                self._size += len(content.data)
        self._wake.set()

    def take(self) -> Marked:
        """All that is marked, which is no longer pending."""
        taken = Marked(self._keys, self._since, self._contents)
        self._keys, self._contents, self._size = set(), {}, 0
        self.taken = self.marked
        self._wake.clear()
        return taken

    async def wait(self) -> None:
        """Return when something is marked."""
        await self._wake.wait()
