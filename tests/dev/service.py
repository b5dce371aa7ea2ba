"""A Deployment under development on the real cluster, and the sync of a local folder into its pods."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from innerloop.dev import placing
from innerloop.dev.overlay import overlay
from innerloop.dev.pods import PodContainer
from innerloop.dev.sync.local_files import LocalFiles
from innerloop.dev.sync.state import SyncState
from innerloop.dev.sync.syncing import sync
from innerloop.errors import LoopError, single_failure
from innerloop.events import Emit, Event, Notice
from innerloop.kube import execution, objects
from innerloop.kube.client import Client
from innerloop.manifest import Manifest
from innerloop.project import DevTarget, SyncPath
from tests.dev.sync_containers import ARCHITECTURE, listing
from tests.kube import pods
from tests.waiting import until

SERVER = "import time\nprint('serving', flush=True)\ntime.sleep(100000)\n"

LIST = """
import base64, json, os, stat, sys
def describe(path):
    status = os.lstat(path)
    kind, mode = stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return [kind, os.readlink(path)]
    return [kind, mode, *([base64.b64encode(open(path, "rb").read()).decode()] if stat.S_ISREG(status.st_mode) else [])]
root = sys.argv[1]
found = {}
for path in [os.path.join(base, name) for base, folders, files in os.walk(root) for name in folders + files]:
    try:
        found[os.path.relpath(path, root)] = describe(path)
    except OSError:
        pass  # it went while we looked
print(json.dumps(found))
"""


class Service:
    """A Deployment under development, and the sync of a local folder into its pods."""

    def __init__(self, client: Client, namespace: str, folder: Path) -> None:
        self.client = client
        self.namespace = namespace
        self.local = folder
        self.events: list[Event] = []
        self.state = SyncState()

    @property
    def containers(self) -> list[PodContainer]:
        return list(self.state.containers)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def list(self, container: PodContainer, remote: str = "/app") -> dict[str, tuple[object, ...]]:
        """What a container has, in the form of ``listing``."""

        told = json.loads(await self.run(container, "python", "-c", LIST, remote))
        decoded = {
            path: tuple(base64.b64decode(value) if number == 2 else value for number, value in enumerate(values))
            for path, values in told.items()
        }
        return {path: values for path, values in decoded.items() if not path.endswith(".log")}

    async def run(self, container: PodContainer, *command: str) -> bytes:
        place = (self.namespace, container.pod, container.container)
        result = await execution.run(self.client, *place, command)
        assert result.code == 0, result.stderr
        return result.stdout

    async def end(self, container: PodContainer) -> None:
        """Have its process end; whether the command that asks for that still tells its status is a race."""
        place = (self.namespace, container.pod, container.container)
        with contextlib.suppress(LoopError):
            await execution.run(self.client, *place, ["sh", "-c", "kill -TERM 1"])

    async def settle(self, count: int = 1, *, timeout: float = 60) -> None:
        """Wait until so many containers have what is here."""
        missing = [f"{count} containers"]

        async def equal() -> bool:
            missing[:] = [str(self.state.containers)]
            if len(self.containers) != count or not self.state.in_sync:
                return False
            wanted = listing(self.local)
            for container in self.containers:
                try:
                    found = await self.list(container)
                except LoopError:
                    return False  # a container that just ended
                missing[:] = [path for path in wanted | found if wanted.get(path) != found.get(path)]
                if missing:
                    return False
            return True

        try:
            await until(equal, timeout=timeout, every=0.1)
        except AssertionError as error:
            raise AssertionError(f"{error}: not equal: {missing[:5]}, after {self.of(Notice)}") from None


@contextlib.asynccontextmanager
async def developed(
    client: Client,
    namespace: str,
    folder: Path,
    container: dict[str, Any] | None = None,
    *,
    replicas: int = 1,
    remote: str = "/app",
    target: dict[str, Any] | None = None,
    ready: bool = True,
    built: Callable[[str], bool] | None = None,
    **spec: Any,
) -> AsyncIterator[Service]:
    """A container deployed with the dev overlay, and ``folder`` kept in sync with it.

    ``container`` and ``spec`` are the pod's, ``target`` has fields of the DevTarget, ``built`` is the sync's.
    """
    folder.mkdir(exist_ok=True)
    (folder / "server.py").write_text(SERVER)
    fields = {"sync": (SyncPath(local=folder, remote=remote),), **(target or {})}
    wanted = DevTarget(name="web", selector={"app": "web"}, **fields)
    command = ["python", f"{remote}/server.py"]
    workload = deployment(container or pods.container("web", command, pods.PYTHON), namespace, replicas, spec)
    for manifest in overlay([workload], [wanted], {}, nodes=[{placing.ARCHITECTURE: ARCHITECTURE}]):
        await objects.apply(client, manifest.object, manager="test")
    service = Service(client, namespace, folder)
    async with asyncio.TaskGroup() as tasks:
        syncing = sync_files(
            client,
            wanted,
            namespace=namespace,
            selector="app=web",
            emit=service.events.append,
            state=service.state,
            built=built,
        )
        task = tasks.create_task(syncing, name="sync")
        if ready:
            await until(lambda: len(service.containers) == replicas and service.state.in_sync, timeout=60)
        yield service
        task.cancel()


async def sync_files(
    client: Client, target: DevTarget, *, emit: Emit, built: Callable[[str], bool] | None = None, **how: Any
) -> None:
    """Sync with files that are looked at for it alone; ``how`` is what ``sync`` takes."""
    files = LocalFiles(target, emit, built=built)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(files.run(), name="files")
            tasks.create_task(sync(client, target, files, emit=emit, **how), name="sync")
    except BaseExceptionGroup as group:
        raise single_failure(group) from None


def deployment(container: dict[str, Any], namespace: str, replicas: int, spec: dict[str, Any]) -> Manifest:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }
    return Manifest(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template},
        }
    )
