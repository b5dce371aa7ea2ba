"""A container without Kubernetes: the shipped helper as a child process, its pipes instead of an exec stream."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from innerloop.dev import helper
from innerloop.dev.actions import Surroundings
from innerloop.dev.local_tree import Key, LocalTree, SyncRoot, look
from innerloop.dev.pods import PodContainer
from innerloop.dev.sync_connection import Connection, connected
from innerloop.dev.sync_container import ContainerSync
from innerloop.events import Event, Notice, Synced
from innerloop.kube.errors import ConnectionFailed
from innerloop.project import DevTarget, SyncPath
from tests.waiting import until

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
PROGRAM = Path(helper.__file__).parent / f"loop-helper-linux-{ARCHITECTURE}"
CONTAINER = PodContainer("web-1", "uid", "web", "id", "")


class Pipes:
    """The helper's standard streams."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.written = 0

    async def read(self) -> bytes:
        assert self.process.stdout
        return await self.process.stdout.read(65536)

    async def write(self, data: bytes) -> None:
        assert self.process.stdin
        try:
            self.process.stdin.write(data)
            await self.process.stdin.drain()
        except ConnectionError as error:
            raise ConnectionFailed("the pipe is closed") from error
        self.written += len(data)


class Developed:
    """A local folder, a folder that stands for a container's, and the sync between them."""

    def __init__(
        self, folder: Path, *, remote: str = "remote", surroundings: Surroundings | None = None, **target: object
    ) -> None:
        self.local = folder / "local"
        self.remote = folder / remote
        self.local.mkdir(exist_ok=True)
        self.tree = LocalTree([SyncRoot(self.local, str(self.remote))])
        self.events: list[Event] = []
        sync = (SyncPath(local=self.local, remote=str(self.remote)),)
        fields = {"name": "web", "sync": sync, **target}
        wanted = DevTarget(**fields)  # type: ignore[arg-type] # keywords of the test
        self.sync = ContainerSync(self.tree, wanted, CONTAINER, self.events.append, surroundings)
        self.user: int | None = None
        """The container's; None: ours."""
        self.pipes: Pipes | None = None

    def look(self) -> dict[Key, OSError]:
        """Take note of everything that is here; returns what cannot be read."""
        found = look(self.tree, [Key(0, b"")], {0: lambda path, folder: path.endswith(".log")})
        changed = self.tree.take(found, lambda key, folder: key.path.endswith(b".log"))
        self.sync.mark(changed | found.found.keys(), asyncio.get_running_loop().time())
        return found.errors

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "sync", self.remote, stdin=-1, stdout=-1, user=self.user
        )
        self.pipes = Pipes(process)
        try:
            async with connected(self.pipes, self.sync.on_reply) as connection:
                yield connection
        finally:
            assert process.stdin
            process.stdin.close()
            await process.wait()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """In sync, and kept so."""
        async with self.connected() as connection, asyncio.TaskGroup() as tasks:
            await self.sync.bring_up_to_date(connection)
            task = tasks.create_task(self.sync.follow(connection), name="follow")
            yield
            task.cancel()

    async def settle(self) -> None:
        """Look, and wait until the container has what is here."""
        self.look()
        await until(lambda: listing(self.remote) == listing(self.local), timeout=5, what=difference(self))

    def notices(self) -> list[Notice]:
        return [event for event in self.events if isinstance(event, Notice)]

    def synced(self) -> list[Synced]:
        return [event for event in self.events if isinstance(event, Synced)]


def listing(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a folder that a sync carries; what vanishes while we look is not there."""
    found = {}
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(base, name)
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                found[str(path.relative_to(folder))] = _describe(path)
    return {path: value for path, value in found.items() if not path.endswith(".log")}


def _describe(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    kind, mode = stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return kind, os.readlink(path)
    return (kind, mode, path.read_bytes()) if stat.S_ISREG(status.st_mode) else (kind, mode)


def difference(developed: Developed) -> str:
    here, there = listing(developed.local), listing(developed.remote)
    return str({path: (here.get(path), there.get(path)) for path in here | there if here.get(path) != there.get(path)})
