"""Batches of changed paths, whatever system tells of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

Ignores = Callable[[str, bool], bool]
"""Whether an absolute path does not count; the second argument tells that it is a folder."""


class Watch:
    """Batches of changed paths, from the moment of creation on; ends when closed, or when waiting is cancelled.

    A path in a batch was changed, made or removed; a folder stands for all that is in it. When the system lost events,
    the batch has the watched paths themselves. Who asks for the next batch has dealt with the former one. Paths are
    absolute, and text: a Path object for each of thousands takes longer than all else.
    """

    def __init__(self) -> None:
        self._changed: set[str] = set()
        self._error: Exception | None = None
        self._closed = False
        self._wake: asyncio.Future[None] | None = None
        self._asking: list[asyncio.Future[bool]] = []
        """Those who wait until everything so far is dealt with, and is not handed over yet."""
        self._handed_over: list[asyncio.Future[bool]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> frozenset[str]:
        _answer(self._handed_over, True)
        try:
            await self._until_changed()
        except asyncio.CancelledError:
            self.close()
            raise
        if self._error:
            self.close()
            raise self._error
        if self._closed:
            raise StopAsyncIteration
        batch = frozenset(self._changed)
        self._changed.clear()
        self._handed_over, self._asking = self._asking, []
        return batch

    async def caught_up(self) -> bool:
        """Wait until everything that changed before this call was handed over and dealt with.

        False when the watch was closed before. A batch may be empty when nothing had changed.
        """
        if self._closed:
            return False
        self._gather()
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asking.append(answer)
        self.flush()
        return await answer

    def close(self) -> None:
        """Stop watching; whoever waits for a batch gets the end."""
        self._closed = True
        _answer(self._handed_over, False)
        _answer(self._asking, False)
        self.flush()

    def flush(self) -> None:
        """Hand over what was gathered."""
        if self._is_due and self._wake and not self._wake.done():
            self._wake.set_result(None)

    @property
    def _is_due(self) -> bool:
        return bool(self._changed or self._error or self._closed or self._asking)

    async def _until_changed(self) -> None:
        while not self._is_due:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake

    def _gather(self) -> None:
        """Take in what the system has not told yet."""
        raise NotImplementedError


def _answer(waiting: list[asyncio.Future[bool]], result: bool) -> None:
    for one in waiting:
        if not one.done():
            one.set_result(result)
    waiting.clear()
