"""What vanished in a container, and is not deleted here before it has stayed away.

A path may be about to be replaced. And of a root that is being removed, the files go first: they are held for as long
as others follow them, since then it may turn out that the root goes, too, which deletes nothing here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable

from innerloop.dev.sync.local_tree import Key

DOUBT_SECONDS = 0.2
"""So long nothing else must have vanished from a root."""
HELD_SECONDS = 10.0
"""Longer than that no path is held: some programs delete files all the time."""


class Doubts:
    """The paths that are held."""

    def __init__(self, look_again: Callable[[Collection[Key]], None]) -> None:
        """``look_again`` is called with those that may be let go."""
        self._look_again = look_again
        self._held: dict[Key, float] = {}
        """Since when."""
        self._last: dict[int, float] = {}
        """When the last one of a root vanished."""
        self._is_waiting = False

    def holds(self, key: Key) -> bool:
        """Whether a path that was seen to be gone is not believed yet; it will be looked at again."""
        now = asyncio.get_running_loop().time()
        if key not in self._held:
            self._held[key] = self._last[key.root] = now
        elif now >= self._release(key):
            del self._held[key]
            return False
        self._wait()
        return True

    def drop(self, keys: Iterable[Key]) -> None:
        """These are there again, or nothing of them is known any more."""
        for key in keys:
            self._held.pop(key, None)

    def drop_root(self, root: int) -> None:
        self.drop([key for key in self._held if key.root == root])

    def clear(self) -> None:
        self._held.clear()

    def _release(self, key: Key) -> float:
        """When a path is believed to be gone, unless others follow it."""
        return min(self._last[key.root] + DOUBT_SECONDS, self._held[key] + HELD_SECONDS)

    def _wait(self) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            asyncio.get_running_loop().call_later(DOUBT_SECONDS, self._review)

    def _review(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._look_again([key for key in self._held if now >= self._release(key)])
        later = [release for release in map(self._release, self._held) if release > now]
        self._is_waiting = bool(later)
        if later:
            loop.call_at(min(later), self._review)
