"""Batches of changed paths, whatever system tells of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self


class Watch:
    """Batches of changed paths, from the moment of creation on; ends when closed, or when waiting is cancelled.

    A path in a batch was changed, made or removed; a folder stands for all that is in it. When the system lost events,
    the batch has the watched paths themselves.
    """

    def __init__(self) -> None:
        self._changed: set[str] = set()
        self._error: Exception | None = None
        self._closed = False
        self._wake: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> frozenset[Path]:
        try:
            while not (self._changed or self._error or self._closed):
                self._wake = asyncio.get_running_loop().create_future()
                await self._wake
        except asyncio.CancelledError:
            self.close()
            raise
        if self._error:
            self.close()
            raise self._error
        if self._closed:
            raise StopAsyncIteration
        batch = frozenset(map(Path, self._changed))
        self._changed.clear()
        return batch

    def close(self) -> None:
        """Stop watching; whoever waits for a batch gets the end."""
        self._closed = True
        self.flush()

    def flush(self) -> None:
        """Hand over what was gathered."""
        if (self._changed or self._error or self._closed) and self._wake and not self._wake.done():
            self._wake.set_result(None)
