"""A receiver without a container: the helper as a child process, its pipes instead of an exec stream."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

from innerloop.dev.sync import protocol
from innerloop.dev.sync.protocol import Committed, Difference, Expected, Failed, Head, Reply, Welcome


class Receiver:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._rest = b""
        self._replies: list[Reply] = []
        self._ids = 0

    async def greet(self) -> Welcome:
        self.send(protocol.hello())
        welcome = await self.reply()
        assert isinstance(welcome, Welcome)
        return welcome

    def send(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)

    async def reply(self) -> Reply:
        assert self.process.stdout
        while not self._replies:
            async with asyncio.timeout(20):
                data = await self.process.stdout.read(65536)
            if not data:
                assert self.process.stderr
                raise EOFError((await self.process.stderr.read()).decode())
            self._replies, self._rest = protocol.parse(self._rest + data)
        return self._replies.pop(0)

    async def commit(self, *frames: bytes) -> list[Failed]:
        """Sends operations and waits for their acknowledgement; returns what failed."""
        self._ids += 1
        self.send(b"".join(frames) + protocol.commit(self._ids))
        failed = []
        while isinstance(reply := await self.reply(), Failed):
            failed.append(reply)
        assert reply == Committed(self._ids)
        return failed

    async def check(self, expected: Sequence[Expected]) -> list[Difference]:
        self._ids += 1
        self.send(protocol.check(self._ids, expected))
        reply = await self.reply()
        assert isinstance(reply, protocol.Checked)
        assert reply.id == self._ids
        return [Difference(result) for result in reply.results]

    async def end(self) -> None:
        """Ends the input; a sanitizer's report or a crash shows in the status."""
        assert self.process.stdin and self.process.stderr and self.process.stdout
        self.process.stdin.close()
        async with asyncio.timeout(20):
            await self.process.stdout.read()
            errors = await self.process.stderr.read()
            assert await self.process.wait() == 0, errors.decode()


def file(path: str | bytes, content: bytes, mode: int = 0o644, *, exact: bool = False, root: int = 0) -> bytes:
    name = path.encode() if isinstance(path, str) else path
    return protocol.file(Head(root, name, mode, exact), content, sha256(content))


def expect_file(path: str, content: bytes, mode: int = 0o644, *, exact: bool = False) -> Expected:
    return Expected(Head(0, path.encode(), mode, exact), b"f", len(content), sha256(content))


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
