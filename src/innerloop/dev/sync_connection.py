"""One stream to the helper in a container: requests, their answers, and what the helper tells by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from innerloop.dev import sync_protocol as protocol
from innerloop.dev.sync_protocol import (
    Checked,
    Committed,
    Expected,
    Failed,
    Fatal,
    ProtocolError,
    Reply,
    Restarted,
    State,
    Welcome,
)
from innerloop.errors import LoopError, single_failure
from innerloop.kube.errors import ConnectionFailed
from innerloop.kube.execution import ExecStream

ANSWER_SECONDS = 30.0
"""For answers that need no work."""


Answer = asyncio.Future[Checked | Committed | Restarted]


class Stream(Protocol):
    """Standard input and output of a helper."""

    async def read(self) -> bytes:
        """What it wrote; empty at its end."""

    async def write(self, data: bytes) -> None:
        """Returns when more may be written."""


class Disconnected(LoopError):
    """The stream ended; what was not acknowledged may or may not have happened."""


class ExecOutput:
    """The stream of a helper that an exec started; keeps what it wrote to stderr for messages."""

    def __init__(self, stream: ExecStream) -> None:
        self._stream = stream
        self.errors = b""

    async def read(self) -> bytes:
        while (piece := await self._stream.read()) is not None:
            if piece[0] == "stdout":
                return piece[1]
            self.errors = (self.errors + piece[1])[-4096:]
        if self.errors:
            raise Disconnected("the helper in the container ended", detail=self.errors.decode(errors="replace").strip())
        return b""

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)


class Connection:
    """Requests of one sender at a time. All methods raise Disconnected, and what the stream raises."""

    def __init__(self, stream: Stream, on_reply: Callable[[State | Restarted], None]) -> None:
        self._stream = stream
        self._on_reply = on_reply
        self._ids = 0
        loop = asyncio.get_running_loop()
        self._welcome: asyncio.Future[Welcome] = loop.create_future()
        self._received: asyncio.Future[None] = loop.create_future()
        self._answers: dict[int, Answer] = {}
        self._restarts: set[int] = set()
        self._failed: list[Failed] = []
        self._ended: LoopError | None = None

    async def greet(self) -> Welcome:
        await self.write(protocol.hello())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._welcome
        except TimeoutError:
            raise _silent() from None

    async def check(self, expected: Sequence[Expected]) -> bytes:
        """One Difference per path."""
        answers = []
        for part in _parts(expected):
            answers.append(self._expect())
            await self.write(protocol.check(self._ids, part))
        return b"".join([answer.results for answer in await asyncio.gather(*answers) if isinstance(answer, Checked)])

    async def write(self, data: bytes) -> None:
        """Send operations; the next commit tells what became of them."""
        try:
            await self._stream.write(data)
        except ConnectionFailed as error:
            # why is told by what was received last
            await asyncio.wait([self._received], timeout=1)
            raise self._ended or error from None

    async def commit(self) -> list[Failed]:
        """Wait until all operations so far are done; returns those that could not be."""
        answer = self._expect()
        await self.write(protocol.commit(self._ids))
        await answer
        failed, self._failed = self._failed, []
        return failed

    async def ping(self) -> None:
        """See whether the other side is still there."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self.commit()
        except TimeoutError:
            raise _silent() from None

    async def restart(self) -> Answer:
        """Ask for a new process; the future has the answer, which takes as long as the old one needs to end."""
        answer = self._expect()
        self._restarts.add(self._ids)
        await self.write(protocol.restart(self._ids))
        return answer

    async def receive(self) -> None:
        """Take replies until the stream ends; then whoever waits gets the reason."""
        rest = b""
        try:
            while data := await self._stream.read():
                replies, rest = protocol.parse(rest + data)
                for reply in replies:
                    self._take(reply)
            self._end(Disconnected("the helper in the container ended"))
        except LoopError as error:
            self._end(error)

    def _expect(self) -> Answer:
        if self._ended:
            raise self._ended
        self._ids += 1
        answer: Answer = asyncio.get_running_loop().create_future()
        self._answers[self._ids] = answer
        return answer

    def _take(self, reply: Reply) -> None:
        match reply:
            case Welcome():
                if reply.version != protocol.VERSION:
                    raise _other_version(reply.version)
                if not self._welcome.done():
                    self._welcome.set_result(reply)
            case Checked() | Committed():
                self._answer(reply.id, reply)
            case Restarted():
                # one start answers all requests before it
                for id in sorted(id for id in self._restarts if id <= reply.id):
                    self._restarts.discard(id)
                    self._answer(id, reply)
                self._on_reply(reply)
            case State():
                self._on_reply(reply)
            case Failed():
                self._failed.append(reply)
            case Fatal():
                raise ProtocolError(f"the helper in the container gave up: {reply.text}")

    def _answer(self, id: int, reply: Checked | Committed | Restarted) -> None:
        answer = self._answers.pop(id, None)
        if answer and not answer.done():
            answer.set_result(reply)

    def _end(self, error: LoopError) -> None:
        self._ended = error
        self._received.set_result(None)
        waiting: list[asyncio.Future[Any]] = [self._welcome, *self._answers.values()]
        for answer in waiting:
            if not answer.done():
                answer.set_exception(error)
                # it is told to whoever asks next, also when nobody waits for this answer
                answer.exception()


@asynccontextmanager
async def connected(stream: Stream, on_reply: Callable[[State | Restarted], None]) -> AsyncIterator[Connection]:
    """A connection whose replies are taken as long as the context is open."""
    connection = Connection(stream, on_reply)
    try:
        async with asyncio.TaskGroup() as tasks:
            receiving = tasks.create_task(connection.receive(), name="receive from helper")
            yield connection
            receiving.cancel()
    except BaseExceptionGroup as group:
        raise single_failure(group) from None


def _parts(expected: Sequence[Expected]) -> Iterable[list[Expected]]:
    part: list[Expected] = []
    size = 4
    for one in expected:
        more = protocol.check_size(one)
        if part and (len(part) == protocol.MAX_CHECKS or size + more > protocol.MAX_PAYLOAD):
            yield part
            part, size = [], 4
        part.append(one)
        size += more
    if part:
        yield part


def _silent() -> Disconnected:
    return Disconnected("the helper in the container does not answer")


def _other_version(version: int) -> ProtocolError:
    return ProtocolError(
        f"the helper in the container speaks version {version} of the sync protocol, not {protocol.VERSION}",
        hint="loop dev, or loop deploy, brings the one that fits",
    )
