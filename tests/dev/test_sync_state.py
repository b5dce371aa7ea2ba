"""Waiting until all is live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from innerloop.dev.pods import PodContainer
from innerloop.dev.sync.state import SyncState
from innerloop.errors import LoopError

FIRST = PodContainer("web-1", "uid-1", "web", "id-1", "")
SECOND = PodContainer("web-2", "uid-2", "web", "id-2", "")


class Container:
    """A receiver that does what it is told."""

    def __init__(self, marked: int = 0) -> None:
        self.marked = marked
        self.live = self.there = 0
        self.failed: list[str] = []

    def has(self, marked: int) -> bool:
        return self.there >= marked

    def is_live(self, marked: int) -> bool:
        return self.live >= marked

    def problems(self) -> list[str]:
        return self.failed


class Sync:
    """A state, and what stands behind it."""

    def __init__(self) -> None:
        self.state = SyncState()
        self.first = Container(1)
        self.unread: list[str] = []
        self.state.set(FIRST, self.first, "in sync")
        self.state.begin(self.catch_up)

    async def catch_up(self) -> list[str]:
        return self.unread

    def reach(self, live: int) -> None:
        self.first.live = live
        self.state.wake()


@pytest.fixture
async def sync() -> Sync:
    return Sync()


@pytest.fixture
async def waiting(sync: Sync) -> AsyncIterator[asyncio.Task[list[str]]]:
    """Someone who waits, and has seen that not all is live."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(sync.state.wait_live(60), name="wait")
        await settled()
        assert not task.done()
        yield task
        task.cancel()


async def settled() -> None:
    """Everything that can go on has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


Waiting = asyncio.Task[list[str]]


async def test_what_was_saved_before_is_waited_for_and_nothing_later(sync: Sync, waiting: Waiting) -> None:
    sync.first.marked = 5
    sync.reach(1)
    assert await waiting == []


async def test_what_is_there_is_waited_for_and_not_what_follows_it(sync: Sync) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(sync.state.wait_there(60), name="wait")
        await settled()
        assert not waiting.done()
        sync.first.there = 1
        sync.state.wake()
    assert sync.first.live == 0


async def test_a_container_that_is_stuck_or_away_is_not_waited_for_until_it_is_there(sync: Sync) -> None:
    sync.state.set(SECOND, Container(1), "interrupted")
    async with asyncio.timeout(5):
        await sync.state.wait_there(0.01)
        sync.first.there = 1
        await sync.state.wait_there(60)


async def test_a_container_that_comes_meanwhile_is_waited_for(sync: Sync, waiting: Waiting) -> None:
    sync.state.set(SECOND, Container(7), "connecting")
    sync.reach(1)
    await settled()
    assert not waiting.done()
    sync.state.set(SECOND, Container(7), "in sync")
    assert await waiting == []


async def test_a_container_that_goes_is_not_waited_for(sync: Sync, waiting: Waiting) -> None:
    sync.state.set(SECOND, Container(), "in sync")
    sync.state.drop(FIRST)
    assert await waiting == []


async def test_an_interrupted_stream_is_waited_for_until_it_is_back(sync: Sync, waiting: Waiting) -> None:
    sync.state.set(FIRST, sync.first, "interrupted", LoopError("no route"))
    sync.reach(1)
    await settled()
    assert not waiting.done()
    sync.state.set(FIRST, sync.first, "in sync")
    assert await waiting == []


async def test_what_failed_and_what_could_not_be_read_is_returned(sync: Sync) -> None:
    sync.reach(1)
    sync.unread, sync.first.failed = ["unread"], ["failed"]
    assert await sync.state.wait_live(60) == ["unread", "failed"]


async def test_patience_ends_with_the_reason(sync: Sync) -> None:
    sync.state.set(FIRST, sync.first, "interrupted", LoopError("no route", hint="mend it"))
    with pytest.raises(LoopError, match="no stream to web-1/web: no route") as raised:
        await sync.state.wait_live(0.01)
    assert raised.value.hint == "mend it"


async def test_patience_ends_when_no_container_runs(sync: Sync) -> None:
    sync.state.drop(FIRST)
    with pytest.raises(LoopError, match="no container runs"):
        await sync.state.wait_live(0.01)


async def test_a_long_comparison_takes_no_patience(sync: Sync) -> None:
    sync.reach(1)
    sync.state.set(FIRST, sync.first, "comparing")
    asyncio.get_running_loop().call_later(0.05, sync.state.set, FIRST, sync.first, "in sync")
    assert await sync.state.wait_live(0.01) == []


async def test_the_end_of_the_sync_ends_the_waiting_with_its_error() -> None:
    state = SyncState()
    state.fail(LoopError("the limit is reached"))
    for waits in (state.wait_in_sync(), state.wait_live(60)):
        with pytest.raises(LoopError, match="the limit is reached"):
            await waits


async def test_only_news_of_a_stream_is_news(sync: Sync) -> None:
    told = [
        sync.state.set(FIRST, sync.first, "in sync"),
        sync.state.set(FIRST, sync.first, "interrupted", LoopError("no route")),
        sync.state.set(FIRST, sync.first, "interrupted", LoopError("no route")),
        sync.state.set(FIRST, sync.first, "interrupted", LoopError("no helper")),
    ]
    assert told == [False, True, False, True]
