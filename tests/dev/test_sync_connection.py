"""Requests of many tasks over one stream; the helper is a real process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from innerloop.dev.sync import protocol
from innerloop.dev.sync.connection import Connection, Disconnected, connected
from innerloop.dev.sync.protocol import Head, ProtocolError, Reason, SignalResult
from tests.dev.sync_containers import PROGRAM, Pipes
from tests.waiting import until


@asynccontextmanager
async def helper_on(root: Path) -> AsyncIterator[tuple[Connection, asyncio.subprocess.Process]]:
    process = await asyncio.create_subprocess_exec(PROGRAM, "sync", root, stdin=-1, stdout=-1)
    try:
        async with connected(Pipes(process), lambda reply: None) as connection:
            await connection.greet()
            yield connection, process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Scripted:
    """A stream that answers the first request with these bytes, and goes on for ever."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._asked = asyncio.Event()

    async def read(self) -> bytes:
        await self._asked.wait()
        answer, self._answer = self._answer, b""
        if not answer:
            await asyncio.Event().wait()
        return answer

    async def write(self, data: bytes) -> None:
        self._asked.set()


async def test_every_request_under_way_hears_of_the_end(tmp_path: Path) -> None:
    async with helper_on(tmp_path) as (connection, process):
        process.send_signal(signal.SIGSTOP)
        asked = [
            asyncio.create_task(request, name="request")  # noqa: TID251
            for request in (
                connection.look([(0, b"")]),
                connection.list_folder(0, b"", watch=True),
                connection.read(0, b"", 0, 1),
                connection.signal(1),
                connection.check([]),
                connection.commit(),
            )
        ]
        await asyncio.sleep(0)
        process.kill()
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        with pytest.raises(Disconnected):
            await connection.look([(0, b"")])
    assert [type(outcome) for outcome in outcomes] == [Disconnected] * 4 + [bytes, Disconnected]


async def test_failures_belong_to_the_commit_that_follows_them(tmp_path: Path) -> None:
    async with helper_on(tmp_path) as (connection, _), asyncio.TaskGroup() as tasks:
        await connection.write(protocol.folder(Head(0, b"../out", 0o755)))
        first = tasks.create_task(connection.commit(), name="commit")
        await asyncio.sleep(0)
        await connection.write(protocol.folder(Head(0, b"folder", 0o755)))
        second = tasks.create_task(connection.commit(), name="commit")
    assert [failed.reason for failed in first.result()] == [Reason.OUTSIDE]
    assert second.result() == []


async def test_frames_of_many_tasks_do_not_mix(tmp_path: Path) -> None:
    long = [(0, b"n" * 200 + b"%d" % number) for number in range(3000)]
    async with helper_on(tmp_path) as (connection, _), asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(connection.look(long), name="look") for _ in range(10)]
        sent = tasks.create_task(connection.signal(1), name="signal")
    assert [len(one.result()) for one in asked] == [3000] * 10
    assert sent.result() == SignalResult.NO_SUPERVISOR


async def test_frame_that_is_given_up_half_sent_ends_the_connection(tmp_path: Path) -> None:
    async with helper_on(tmp_path) as (connection, process):
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                while True:
                    await connection.write(protocol.file_data(os.urandom(protocol.CHUNK)))
        with pytest.raises(Disconnected, match="given up"):
            await connection.look([(0, b"")])


async def test_request_that_is_given_up_leaves_the_others_alone(tmp_path: Path) -> None:
    async with helper_on(tmp_path) as (connection, process):
        process.send_signal(signal.SIGSTOP)
        async with asyncio.TaskGroup() as tasks:
            given_up = tasks.create_task(connection.look([(0, b"")]), name="look")
            other = tasks.create_task(connection.look([(0, b"x")]), name="look")
            await asyncio.sleep(0)
            given_up.cancel()
            await until(given_up.cancelled)
            process.send_signal(signal.SIGCONT)
        assert [found.kind for found in other.result()] == [b"-"]


async def test_answer_to_another_question_is_an_error() -> None:
    committed = b"\x04\x00\x00\x00\x8c" + b"\x01\x00\x00\x00"
    async with connected(Scripted(committed), lambda reply: None) as connection:
        with pytest.raises(ProtocolError, match="another question"):
            await connection.look([(0, b"")])


async def test_frames_of_a_long_list_become_one(tmp_path: Path) -> None:
    for number in range(5000):
        os.mknod(f"{tmp_path}/{number}-{'n' * 60}", 0o100644)
    async with helper_on(tmp_path) as (connection, _):
        listed = await connection.list_folder(0, b"", watch=False)
    assert listed.listing == protocol.Listing.END
    assert len(dict(listed.entries)) == len(listed.entries) == 5000
