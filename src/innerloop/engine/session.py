"""A dev session: deploy, keep in step with every save, until the user ends it.

One loop brings the graph up to date, waits for a change, and begins anew. A change that comes meanwhile cancels the
run, since what it was making is no longer wanted; what had been finished stays good.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any

from innerloop.config.dependencies import Tree
from innerloop.dev.restarts import Restarts
from innerloop.dev.sync.local_files import LocalFiles
from innerloop.dev.sync.state import SyncState
from innerloop.dev.watching.batches import Watch
from innerloop.dev.watching.watching import watch
from innerloop.engine.deploying import Loader
from innerloop.engine.graph import Graph
from innerloop.engine.reach import NOTHING, Reach, is_bookkeeping, reach
from innerloop.engine.services import Service, Services
from innerloop.engine.steps import Deployed, Plan, plan_steps
from innerloop.engine.target_files import TargetFiles
from innerloop.engine.targets import choose, local_files, synced, target_services
from innerloop.engine.workloads import workloads
from innerloop.errors import LoopError, single_failure
from innerloop.events import Notice, SessionReady
from innerloop.hooks import Hooks
from innerloop.project import DevTarget
from innerloop.render.inputs import input_paths


class Session:
    """Develops the targets of ``plan``.

    ``patient``: after a failed step it waits for a change instead of ending. ``restarts`` hears the session's events.
    """

    def __init__(self, load: Loader, tree: Tree, plan: Plan, *, restarts: Restarts, patient: bool) -> None:
        self._load = load
        self._tree = tree
        self._plan = plan._replace(on_applied=self._applied)
        self._restarts = restarts
        self._patient = patient
        self._graph = Graph()
        self._pending = NOTHING
        self._changed = asyncio.Event()
        self._reloaded = False
        self._unread = False
        self._states: dict[str, SyncState] = {}
        self._changes: Watch | None = None
        self._settled = asyncio.Event()
        """Nothing is under way: the last run is over and no change is waiting."""
        self._failure: LoopError | None = None
        """Of the last run."""
        self._since = time.monotonic()
        self._started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    async def run(self) -> None:
        """Until cancelled, or until a step fails and the session is not patient; raises that failure."""
        hooks = Hooks(self._tree.project, self._tree.plugins, self._plan.scope)
        await hooks.run("before-dev")
        try:
            async with asyncio.TaskGroup() as group:
                self._services = Services(group, self._plan.scope.emit)
                self._watcher = Services(group, self._plan.scope.emit)
                self._files = TargetFiles(group, self._plan.scope.emit)
                self._files.begin(synced(self._plan.develop), self._local_files)
                await self._keep_up()
        except BaseExceptionGroup as failures:
            raise single_failure(failures) from None
        finally:
            await hooks.run("after-dev")

    def rebuild(self) -> None:
        """Load, render, build and apply everything anew, from what is on the disk now."""
        self._graph.invalidate({"apply"})
        self.take(Reach(configuration=True, templates=True, images=frozenset(self._tree.project.images)))

    def take(self, reached: Reach) -> None:
        """Take note of a change: what runs is ended, and what the change reaches runs again."""
        if not reached:
            return
        if not self._changed.is_set():
            self._since = time.monotonic()
        self._pending = self._pending | reached
        self._changed.set()
        self._settled.clear()

    async def wait_live(self, services: Iterable[str], patience: float) -> list[str]:
        """Wait until all that was saved before the call is live: deployed where it has to be, and synced.

        ``services``: which ones, none for all. Returns what cannot be synced. Raises LoopError when the last deployment
        failed, or a container is out of reach for ``patience`` seconds.
        """
        wanted = set(services)
        while True:
            if self._changes:
                await self._changes.caught_up()
            await self._settled.wait()
            if self._failure:
                raise self._failure
            states = [one for name, one in self._states.items() if not wanted or name.split("/")[1] in wanted]
            try:
                return [problem for state in states for problem in await state.wait_live(patience)]
            except LoopError:
                if all(state in self._states.values() for state in states):
                    raise

    async def _keep_up(self) -> None:
        while True:
            self._watch()
            await self._until_changed(self._bring_up())
            if not self._changed.is_set():
                self._settled.set()
            await self._changed.wait()
            await self._prepare()

    async def _bring_up(self) -> None:
        scope, project = self._plan.scope, self._tree.project
        hooks = Hooks(project, self._tree.plugins, scope)
        self._failure = None
        try:
            await self._graph.run(plan_steps(self._tree, self._plan))
            if self._reloaded:
                # what a service does may have changed though nothing had to be applied
                self._applied(self._graph.value("apply"))
            await self._in_sync()
            if self._unread:
                message = "going on with the configuration as it was before"
                scope.emit(Notice(level="info", message=message, hint="mend the file and save it"))
                return
            scope.emit(
                SessionReady(
                    project=project.name,
                    context=scope.context,
                    namespace=project.namespace,
                    seconds=time.monotonic() - self._since,
                    urls=tuple(target.open for target in self._plan.develop if target.open),
                )
            )
            await hooks.run("ready")
        except LoopError as error:
            self._failure = error
            await hooks.run("failed")
            if not self._patient:
                raise
            self._tell(error)
            scope.emit(Notice(level="info", message="waiting for a change; r tries again"))

    async def _until_changed(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` to its end, or to the next change."""
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(work, name="bring up")
                change = group.create_task(self._changed.wait(), name="wait for a change")
                await asyncio.wait([running, change], return_when=asyncio.FIRST_COMPLETED)
                running.cancel()
                change.cancel()
        except BaseExceptionGroup as failures:
            raise single_failure(failures) from None

    def _applied(self, deployed: Deployed) -> None:
        # at once, not when all is ready: a program that crashes at its start is mended by an edit that sync carries
        develop = self._plan.develop
        wanted, states = target_services(
            self._tree.project,
            develop,
            self._files.keep(synced(develop), self._local_files),
            [*workloads(deployed.manifests, self._tree.project.namespace), *deployed.foreign],
            self._plan.scope,
            self._started,
            self._restarts,
        )
        self._reloaded = False
        kept = self._services.reconcile(wanted)
        self._states = {
            name: self._states[name] if name in kept else state
            for name, state in zip([one.name for one in wanted if one.name.startswith("sync/")], states, strict=True)
        }

    def _local_files(self, target: DevTarget) -> LocalFiles:
        return local_files(self._tree.project, target, self._plan.scope.emit)

    async def _in_sync(self) -> None:
        for state in self._states.values():
            await state.wait_in_sync()

    def _watch(self) -> None:
        project = self._tree.project
        templates = tuple(input_paths(project))
        contexts = tuple(image.context for image in project.images.values())
        paths = tuple(dict.fromkeys((*project.files, *project.plugins, project.folder / ".env", *templates, *contexts)))

        async def follow() -> None:
            self._changes = watch(paths, is_bookkeeping)
            async for batch in self._changes:
                self.take(reach(self._tree.project, templates, batch))

        self._watcher.reconcile([Service("watch", paths, follow)])

    async def _prepare(self) -> None:
        """Before the next run: read what has to be read anew, invalidate what the changes reach."""
        pending, self._pending = self._pending, NOTHING
        # what changes from here on is not in this run
        self._changed.clear()
        # images may have come since: from now on each build asks
        self._plan = self._plan._replace(found=None)
        if pending.configuration:
            await self._reload()
        names = {f"build/{name}" for name in pending.images}
        names |= {"before-build"} if names else set()
        names |= {"render"} if pending.templates else set()
        self._graph.invalidate(names)

    async def _reload(self) -> None:
        try:
            tree = await self._load(self._plan.scope.emit)
            develop = choose(tree.project, self._names(tree))
        except LoopError as error:
            # the session goes on with what was good
            self._unread = True
            self._tell(error)
            return
        self._tree, self._plan = tree, self._plan._replace(develop=develop)
        self._reloaded = True
        self._unread = False

    def _names(self, tree: Tree) -> list[str]:
        kept = [target.name for target in self._plan.develop if target.name in tree.project.dev]
        return kept or list(tree.project.dev)

    def _tell(self, error: LoopError) -> None:
        if not error.told:
            self._plan.scope.emit(
                Notice(level="error", message=str(error), detail=error.detail or "", hint=error.hint or "")
            )
