"""Watching by ``watchfiles``, where there is no inotify."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from pathlib import Path
from typing import Any

from innerloop.dev.watching.batches import Ignores, Watch


class WatchfilesWatch(Watch):
    """The first batch has the watched paths themselves: the system's watch begins only when it is waited for."""

    def __init__(self, paths: Iterable[Path], ignore: Ignores) -> None:
        super().__init__()
        self._roots = [path.absolute() for path in paths]
        self._ignore = ignore
        self._source: AsyncGenerator[set[tuple[Any, str]], None] | None = None

    async def _until_changed(self) -> None:
        if self._source is None and not self._is_due:
            self._source = self._watch()
            await anext(self._source)
            self._gather()
        while not self._is_due:
            assert self._source is not None
            self._changed.update(str(told) for _, name in await anext(self._source) for told in self._told(Path(name)))

    def _gather(self) -> None:
        # what the system knows and has not told cannot be asked for
        self._changed.update(map(str, self._roots))

    def _watch(self) -> AsyncGenerator[set[tuple[Any, str]], None]:
        import watchfiles  # a dependency only where it is needed, and of the tests

        places = {next(place for place in (root, *root.parents) if place.is_dir()) for root in self._roots}
        source: AsyncGenerator[set[tuple[Any, str]], None] = watchfiles.awatch(
            *places, watch_filter=None, step=5, debounce=20, rust_timeout=1000, yield_on_timeout=True
        )
        return source

    def _told(self, path: Path) -> Iterator[Path]:
        """What a change means for those who wait: itself, or a watched path when a folder above it changed."""
        for root in self._roots:
            if path in root.parents:
                yield root
            elif path == root or (root in path.parents and not self._ignored(path, root)):
                yield path

    def _ignored(self, path: Path, root: Path) -> bool:
        below = [place for place in (path, *path.parents) if root in place.parents]
        return any(self._ignore(str(place), place != path or place.is_dir()) for place in below)
