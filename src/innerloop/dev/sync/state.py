"""How far a target's containers are: for whoever waits for them, and for those who ask."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, Protocol

from innerloop.dev.pods import PodContainer
from innerloop.errors import LoopError

CatchUp = Callable[[], Awaitable[list[str]]]
"""Tells the receivers of everything that was saved until now; returns what could not be read."""

StreamState = Literal["connecting", "comparing", "in sync", "interrupted"]


class Receiver(Protocol):
    """What brings changes into one container."""

    @property
    def marked(self) -> int:
        """Grows with each change that it is told of."""

    def has(self, marked: int) -> bool:
        """Whether the changes up to this one are there."""

    def is_live(self, marked: int) -> bool:
        """Whether the changes up to this one, and what they ask for, are done there, as far as possible."""

    def problems(self) -> list[str]:
        """What was not possible, and still is not."""


class Stream(NamedTuple):
    """The stream to one container."""

    receiver: Receiver
    state: StreamState
    error: LoopError | None
    """Why it is interrupted."""
    since: float
    """When it was connected or lost (event loop time)."""

    @property
    def is_connected(self) -> bool:
        return self.state in ("comparing", "in sync")


class SyncState:
    """The streams of one sync, by container; kept by the sync itself."""

    def __init__(self) -> None:
        self.containers: dict[PodContainer, Stream] = {}
        self._catch_up: CatchUp | None = None
        self._failure: LoopError | None = None
        self._changed = asyncio.Event()
        self._alone_since = 0.0

    @property
    def in_sync(self) -> bool:
        """Every running container of the target, at least one, has what is here; errors of paths were told."""
        return bool(self.containers) and all(one.state == "in sync" for one in self.containers.values())

    def set(
        self, container: PodContainer, receiver: Receiver, state: StreamState, error: LoopError | None = None
    ) -> bool:
        """Note the state of a stream; returns whether it is news."""
        now = asyncio.get_running_loop().time()
        stream = Stream(receiver, state, error, now)
        former = self.containers.get(container)
        if former and former.is_connected == stream.is_connected:
            stream = stream._replace(since=former.since)
        self.containers[container] = stream
        self.wake()
        return former is None or former.state != state or str(former.error) != str(error)

    def begin(self, catch_up: CatchUp) -> None:
        """The sync began."""
        self._catch_up = catch_up
        self.wake()

    def drop(self, container: PodContainer) -> None:
        self.containers.pop(container, None)
        self._alone_since = asyncio.get_running_loop().time()
        self.wake()

    def fail(self, error: LoopError) -> None:
        """The sync ended: nobody has to wait any longer."""
        self._failure = self._failure or error
        self.wake()

    def wake(self) -> None:
        """Have those who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_in_sync(self) -> None:
        """Raises the LoopError that ended the sync."""
        while not self.in_sync:
            await self._news(None)

    async def wait_there(self, patience: float) -> None:
        """Wait until all that was told of before the call is in every container that is in sync, which is not waited
        for longer than ``patience`` seconds. Raises the LoopError that ended the sync."""
        wanted = self._marked()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while not self._is_there(wanted):
                    await self._news(None)

    async def wait_live(self, patience: float) -> list[str]:
        """Wait until all that was saved before the call is live in every container; returns what can't be synced.

        Raises LoopError when a container is not reached for ``patience`` seconds, and the one that ended the sync.
        """
        began = asyncio.get_running_loop().time()
        while self._catch_up is None:
            await self._news(None)
        unread = await self._catch_up()
        wanted = self._marked()
        while not self._is_live(wanted):
            await self._news(self._deadline(began, patience))
        return unread + [problem for one in self.containers.values() for problem in one.receiver.problems()]

    def _marked(self) -> dict[PodContainer, int]:
        return {container: stream.receiver.marked for container, stream in self.containers.items()}

    def _is_there(self, wanted: dict[PodContainer, int]) -> bool:
        return all(
            stream.receiver.has(wanted.get(container, 0))
            for container, stream in self.containers.items()
            if stream.state == "in sync"
        )

    def _is_live(self, wanted: dict[PodContainer, int]) -> bool:
        # one that came meanwhile compares everything
        return self.in_sync and all(
            stream.receiver.is_live(wanted.get(container, 0)) for container, stream in self.containers.items()
        )

    def _deadline(self, began: float, patience: float) -> float | None:
        """Until when to wait for what is not connected; None: all is."""
        lost = [one.since for one in self.containers.values() if not one.is_connected]
        if not self.containers:
            lost = [self._alone_since]
        return max(began, min(lost)) + patience if lost else None

    async def _news(self, deadline: float | None) -> None:
        changed = self._changed
        if self._failure:
            raise self._failure
        try:
            async with asyncio.timeout_at(deadline):
                await changed.wait()
        except TimeoutError:
            raise self._unreached() from None

    def _unreached(self) -> LoopError:
        for container, stream in self.containers.items():
            if not stream.is_connected:
                error = stream.error or LoopError("it does not answer")
                place = f"{container.pod}/{container.container}"
                return LoopError(f"no stream to {place}: {error.message}", detail=error.detail, hint=error.hint)
        return LoopError("no container runs", hint="see why: loop status")
