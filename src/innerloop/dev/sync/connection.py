"""One stream to the helper in a container: requests, their answers, and what the helper tells by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

from innerloop.dev.sync import protocol
from innerloop.dev.sync.protocol import (
    Changed,
    Checked,
    Committed,
    Content,
    Expected,
    Failed,
    Fatal,
    Found,
    Listed,
    Listing,
    Looked,
    ProtocolError,
    Reply,
    Restarted,
    Signalled,
    SignalResult,
    State,
    Welcome,
)
from innerloop.errors import LoopError, single_failure
from innerloop.kube.errors import ConnectionFailed
from innerloop.kube.execution import ExecStream

ANSWER_SECONDS = 30.0
"""For answers that need no work."""
_PIECE = 64 * 1024
"""Bytes of operations that the stream carries well at once."""
SILENT_SECONDS = 10.0
"""A helper that owes an answer says every 2 s that it works on it. One that is killed is not always told of: container
runtimes wait for the end of an input that nobody reads (containerd 1.6)."""

Answer = asyncio.Future[Restarted]
_AnyAnswer = Checked | Looked | Listed | Content | Committed | Restarted | Signalled
_Question = TypeVar("_Question")


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


class _Waiting(NamedTuple):
    """A request under way."""

    kind: type[_AnyAnswer]
    answer: asyncio.Future[Any]


class Connection:
    """Requests to one helper, of any number of tasks at a time: it answers them in the order in which they were sent.

    All methods raise Disconnected when the stream ends or has ended, and what the stream raises.
    """

    def __init__(
        self,
        stream: Stream,
        on_reply: Callable[[State | Restarted], None],
        on_changed: Callable[[Changed], None],
    ) -> None:
        self._stream = stream
        self._on_reply = on_reply
        self._on_changed = on_changed
        self._ids = 0
        loop = asyncio.get_running_loop()
        self._welcome: asyncio.Future[Welcome] = loop.create_future()
        self._received: asyncio.Future[None] = loop.create_future()
        self._writing = asyncio.Lock()
        self._waiting: dict[int, _Waiting] = {}
        self._listed: dict[int, list[tuple[bytes, Found]]] = {}
        """Entries of folders of which more follows."""
        self._restarts: set[int] = set()
        self._failed: list[Failed] = []
        """Since the last commit."""
        self._held = bytearray()
        """Operations that wait for those that follow."""
        self._ended: LoopError | None = None
        self._heard = loop.time()
        """When the other side last gave a sign, or came to owe one."""

    async def greet(self) -> Welcome:
        await self.write(protocol.hello())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._welcome
        except TimeoutError:
            raise _silent() from None

    async def check(self, expected: Iterable[Expected]) -> bytes:
        """One Difference per path."""
        answers = [
            await self._send(Checked, partial(protocol.check, expected=part))
            for part in _parts(expected, protocol.check_size)
        ]
        checked: list[Checked] = [await answer for answer in answers]
        return b"".join(one.results for one in checked)

    async def look(self, paths: Sequence[tuple[int, bytes]]) -> list[Found]:
        """What is at each path (root, path), with digests."""
        answers = [
            await self._send(Looked, partial(protocol.look, paths=part)) for part in _parts(paths, protocol.look_size)
        ]
        looked: list[Looked] = [await answer for answer in answers]
        return [found for one in looked for found in one.found]

    async def list_folder(self, root: int, path: bytes, *, watch: bool) -> Listed:
        """All entries of a folder, or why there are none; ``watch``: ``on_changed`` hears of changes in it from
        before it was read on."""
        answer = await self._send(Listed, lambda id: protocol.list_folder(id, root, path, watch=watch))
        listed: Listed = await answer
        return listed

    async def read(self, root: int, path: bytes, offset: int, size: int) -> Content:
        """At most CHUNK bytes of a file from ``offset`` on, or of a link's target."""
        content: Content = await (await self._send(Content, lambda id: protocol.read(id, root, path, offset, size)))
        return content

    async def signal(self, number: int) -> SignalResult:
        """Send a signal to the developed process and its group."""
        signalled: Signalled = await (await self._send(Signalled, lambda id: protocol.signal(id, number)))
        return signalled.result

    async def add(self, operation: bytes) -> None:
        """Send an operation with those that follow at once; the next commit tells what became of them."""
        self._held += operation
        if len(self._held) >= _PIECE:
            await self.write(b"")

    async def write(self, data: bytes) -> None:
        """Send whole frames behind what was added, as one message: each wakes up every program on the way."""
        async with self._writing:
            if self._ended:
                raise self._ended
            data = bytes(self._held + data)
            self._held.clear()
            self._note_sign()
            try:
                await self._stream.write(data)
                self._note_sign()
            except ConnectionFailed as error:
                # why is told by what was received last
                await asyncio.wait([self._received], timeout=1)
                raise self._ended or error from None
            except asyncio.CancelledError:
                # part of a frame may be on its way: nothing that follows would be understood
                self._end(Disconnected("a request to the helper in the container was given up while it was sent"))
                raise

    async def commit(self) -> list[Failed]:
        """Wait until all operations so far are done; returns those that could not be."""
        failed: list[Failed] = await (await self._send(Committed, protocol.commit))
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

        def frame(id: int) -> bytes:
            self._restarts.add(id)
            return protocol.restart(id)

        return await self._send(Restarted, frame)

    async def receive(self) -> None:
        """Take replies until the stream ends; then whoever waits gets the reason."""
        rest = b""
        try:
            while data := await self._stream.read():
                self._note_sign()
                replies, rest = protocol.parse(rest + data)
                for reply in replies:
                    self._take(reply)
            self._end(Disconnected("the helper in the container ended"))
        except LoopError as error:
            self._end(error)

    async def watch_over(self) -> None:
        """Raises Disconnected once the other side owes something and gives no sign of working on it."""
        while True:
            await asyncio.sleep(SILENT_SECONDS / 4)
            # a restart takes as long as the developed process needs to end
            owing = self._writing.locked() or any(one.kind is not Restarted for one in self._waiting.values())
            if owing and asyncio.get_running_loop().time() - self._heard > SILENT_SECONDS:
                raise _silent()

    def _note_sign(self) -> None:
        self._heard = asyncio.get_running_loop().time()

    async def _send(self, kind: type[_AnyAnswer], frame: Callable[[int], bytes]) -> asyncio.Future[Any]:
        """Send the request that ``frame`` makes with its number; of a commit, the answer is what failed before it."""
        if self._ended:
            raise self._ended
        self._ids += 1
        id = self._ids
        waiting = self._waiting[id] = _Waiting(kind, asyncio.get_running_loop().create_future())
        try:
            await self.write(frame(id))
        except BaseException:
            self._waiting.pop(id, None)
            raise
        return waiting.answer

    def _take(self, reply: Reply) -> None:
        match reply:
            case Welcome():
                if reply.version != protocol.VERSION:
                    raise _other_version(reply.version)
                if not self._welcome.done():
                    self._welcome.set_result(reply)
            case Committed():
                failed, self._failed = self._failed, []
                self._answer(reply.id, reply, failed)
            case Listed():
                self._take_listed(reply)
            case Checked() | Looked() | Content() | Signalled():
                self._answer(reply.id, reply, reply)
            case Restarted():
                # one start answers all requests before it
                for id in sorted(id for id in self._restarts if id <= reply.id):
                    self._restarts.discard(id)
                    self._answer(id, reply, reply)
                self._on_reply(reply)
            case State():
                self._on_reply(reply)
            case Changed():
                self._on_changed(reply)
            case Failed():
                self._failed.append(reply)
            case Fatal():
                raise ProtocolError(f"the helper in the container gave up: {reply.text}")

    def _take_listed(self, reply: Listed) -> None:
        entries = self._listed.setdefault(reply.id, [])
        entries += reply.entries
        if reply.listing != Listing.MORE:
            del self._listed[reply.id]
            self._answer(reply.id, reply, reply._replace(entries=tuple(entries)))

    def _answer(self, id: int, reply: _AnyAnswer, result: object) -> None:
        waiting = self._waiting.get(id)
        if waiting is None:
            return
        if not isinstance(reply, waiting.kind):
            raise ProtocolError("the helper in the container answers another question than asked")
        del self._waiting[id]
        if not waiting.answer.done():
            waiting.answer.set_result(result)

    def _end(self, error: LoopError) -> None:
        if self._ended:
            return
        self._ended = error
        self._received.set_result(None)
        for answer in (self._welcome, *(waiting.answer for waiting in self._waiting.values())):
            if not answer.done():
                answer.set_exception(error)
                # it is told to whoever asks next, also when nobody waits for this answer
                answer.exception()


@asynccontextmanager
async def connected(
    stream: Stream,
    on_reply: Callable[[State | Restarted], None],
    on_changed: Callable[[Changed], None] = lambda changed: None,
) -> AsyncIterator[Connection]:
    """A connection whose replies are taken as long as the context is open.

    ``on_changed`` hears of watched folders in order with the answers: what it is told before the answer to a list is
    older than that list.
    """
    connection = Connection(stream, on_reply, on_changed)
    try:
        async with asyncio.TaskGroup() as tasks:
            receiving = tasks.create_task(connection.receive(), name="receive from helper")
            watching = tasks.create_task(connection.watch_over(), name="watch over helper")
            yield connection
            receiving.cancel()
            watching.cancel()
    except BaseExceptionGroup as group:
        raise single_failure(group) from None


def _parts(questions: Iterable[_Question], size_of: Callable[[_Question], int]) -> Iterator[list[_Question]]:
    """As many as fit one frame each."""
    part: list[_Question] = []
    size = 4
    for one in questions:
        more = size_of(one)
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
