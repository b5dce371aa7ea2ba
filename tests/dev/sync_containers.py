"""A container without Kubernetes: the shipped helper as a child process, its pipes instead of an exec stream."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import stat
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from innerloop.dev import helper
from innerloop.dev.ignoring import Ignore
from innerloop.dev.pods import PodContainer
from innerloop.dev.sync.actions import Surroundings
from innerloop.dev.sync.beginning import Beginning
from innerloop.dev.sync.carrying import Carrying
from innerloop.dev.sync.connection import Connection, connected
from innerloop.dev.sync.container import ContainerSync, Shared
from innerloop.dev.sync.local_tree import Key, LocalTree, sync_root
from innerloop.dev.sync.looking import look
from innerloop.dev.sync.pending import ROOM
from innerloop.dev.watching.batches import Watch
from innerloop.dev.watching.watching import watch
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


class Container:
    """A folder that stands for a container's, and what keeps it in step."""

    def __init__(self, remote: Path, container: PodContainer, developed: Developed) -> None:
        self.remote = remote
        self.container = container
        self._developed = developed
        self.pipes: Pipes | None = None
        self.renew()

    def renew(self) -> None:
        """Another container starts, which nothing is known of."""
        developed = self._developed
        self.sync = ContainerSync(
            developed.shared, developed.target, self.container, developed.events.append, developed.surroundings
        )

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "sync", self.remote, stdin=-1, stdout=-1, user=self._developed.user
        )
        self.pipes = Pipes(process)
        try:
            async with connected(self.pipes, self.sync.on_reply, self.sync.on_changed) as connection:
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


class Developed:
    """A local folder, folders that stand for those of containers, and the sync between them.

    ``file``: only this one. ``path`` has fields of the SyncPath, ``target`` of the DevTarget.
    """

    def __init__(
        self,
        folder: Path,
        *,
        remote: str = "remote",
        file: str = "",
        containers: int = 1,
        path: Mapping[str, object] | None = None,
        surroundings: Surroundings | None = None,
        **target: object,
    ) -> None:
        self.folder = folder
        self.surroundings = surroundings
        self.local = folder / "local"
        self.local.mkdir(exist_ok=True)
        self.events: list[Event] = []
        ends = {"local": self.local / file, "remote": str(folder / remote / file)}
        sync = (SyncPath(**{**ends, **(path or {})}),)  # type: ignore[arg-type] # keywords of the test
        self.target = DevTarget(**{"name": "web", "sync": sync, **target})  # type: ignore[arg-type] # keywords of the test
        self.tree = LocalTree([sync_root(sync[0])])
        self.shared = Shared(self.tree, Carrying(sync, self.tree.roots), Beginning(sync, folder), self._mark_all)
        self.reread_rules()
        self.user: int | None = None
        """The containers'; None: ours."""
        self.containers: list[Container] = []
        for number in range(1, containers + 1):
            place = folder / (remote if number == 1 else f"{remote}{number}")
            self.containers.append(Container(place, CONTAINER._replace(pod=f"web-{number}"), self))

    @property
    def remote(self) -> Path:
        return self.containers[0].remote

    @property
    def sync(self) -> ContainerSync:
        return self.containers[0].sync

    @property
    def pipes(self) -> Pipes | None:
        return self.containers[0].pipes

    def connected(self) -> AbstractAsyncContextManager[Connection]:
        return self.containers[0].connected()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """All containers in sync, and kept so."""
        async with AsyncExitStack() as stack:
            for container in self.containers:
                await stack.enter_async_context(container.following())
            yield

    def reread_rules(self) -> None:
        self.shared.carrying.rules = [Ignore(self.local, self.local, ["*.log"])]

    def look(self, *names: str) -> dict[Key, OSError]:
        """Take note of what is here: of some paths, or of everything; returns what cannot be read."""
        keys = [Key(0, os.fsencode(name)) for name in names] or [Key(0, self.tree.roots[0].only)]
        ignores = self.shared.carrying.rules[0].ignores
        found = look(self.tree, keys, {0: ignores}, room=ROOM)
        changed = self.tree.take(found, lambda key, folder: ignores(os.fsdecode(key.path), folder))
        for container in self.containers:
            container.sync.mark(changed | found.found.keys(), asyncio.get_running_loop().time(), found.contents)
        return found.errors

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """With the system's watch on the local folder instead of calls of ``look``."""

        async def follow(changes: Watch) -> None:
            async for batch in changes:
                self.look(*(os.fsdecode(key.path) for path in batch for key in self.tree.keys(path)))

        with watch([self.tree.roots[0].local], self.shared.carrying.rules[0]) as changes:
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(follow(changes), name="watch")
                self.look()
                yield
                task.cancel()

    async def settle(self) -> None:
        """Look, and wait until the containers have what is here."""
        self.look()
        await self.equal()

    async def equal(self, timeout: float = 5) -> None:
        """Wait until all have the same."""
        remotes = [container.remote for container in self.containers]

        def are_equal() -> bool:
            return all(listing(remote) == listing(self.local) for remote in remotes)

        try:
            await until(are_equal, timeout=timeout)
        except AssertionError:
            raise AssertionError("; ".join(difference(self.local, one) for one in remotes)) from None

    def synced(self, direction: str | None = None) -> list[Synced]:
        batches = [event for event in self.events if isinstance(event, Synced)]
        return [batch for batch in batches if direction in (None, batch.direction)]

    def notices(self) -> list[Notice]:
        return [event for event in self.events if isinstance(event, Notice)]

    def _mark_all(self, keys: Collection[Key]) -> None:
        for container in self.containers:
            container.sync.mark(keys, asyncio.get_running_loop().time())


def listing(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a folder that a sync carries; what vanishes while we look is not there."""
    found = {}
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(base, name)
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                found[str(path.relative_to(folder))] = _describe(path)
    return {path: value for path, value in found.items() if not path.endswith(".log") and not is_beside(path)}


def is_beside(path: str) -> bool:
    """Whether a path is what a conflict or an unfinished download left."""
    return ".sync-conflict-" in path or ".loop-" in path


def _describe(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    kind, mode = stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return kind, os.readlink(path)
    return (kind, mode, path.read_bytes()) if stat.S_ISREG(status.st_mode) else (kind, mode)


def difference(local: Path, remote: Path) -> str:
    here, there = listing(local), listing(remote)
    differing = [path for path in sorted(here | there) if here.get(path) != there.get(path)]
    return f"{len(differing)} differ: {[(path, here.get(path), there.get(path)) for path in differing[:5]]}"
