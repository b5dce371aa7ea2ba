"""Keeping one container the same as the local tree, over one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from innerloop.dev.globs import parse_globs
from innerloop.dev.pods import PodContainer
from innerloop.dev.sync.actions import ContainerActions, Surroundings
from innerloop.dev.sync.batch import Batch, make_batch
from innerloop.dev.sync.beginning import Beginning
from innerloop.dev.sync.carrying import Carrying
from innerloop.dev.sync.comparing import compare_sent
from innerloop.dev.sync.connection import Answer, Connection, Disconnected
from innerloop.dev.sync.failures import notices
from innerloop.dev.sync.local_tree import FOLDER, Entry, Key, LocalTree, above
from innerloop.dev.sync.names import shown
from innerloop.dev.sync.protocol import (
    Changed,
    Failed,
    ProcessCode,
    Reason,
    Restarted,
    RestartResult,
    SignalResult,
    State,
    Welcome,
)
from innerloop.dev.sync.sending import Progress, send_batch
from innerloop.dev.sync.taking import Taking
from innerloop.dev.sync.taking_reports import Reports
from innerloop.events import Emit, Notice, ProcessState, Synced, SyncProgress
from innerloop.project import DevTarget

PING_SECONDS = 15.0
"""The helper gives up after 60 s of silence."""
WRITER_SECONDS = 2.0
"""How long a file is left to who writes it before it is sent as it is: some are never closed."""
_WRITER_RETRY_SECONDS = 0.05
_SHOWN_PATHS = 5
_LASTING = (Reason.PERMISSION, Reason.READ_ONLY, Reason.NO_SPACE)
"""Failures that no other file's change mends."""


class Shared(NamedTuple):
    """What the containers of a target have in common."""

    tree: LocalTree
    carrying: Carrying
    beginning: Beginning
    tell: Callable[[Collection[Key]], None]
    """Marks what changed here in all of them."""


class ContainerSync:
    """A running container on the way to having what the tree has."""

    def __init__(
        self,
        shared: Shared,
        target: DevTarget,
        container: PodContainer,
        emit: Emit,
        surroundings: Surroundings | None = None,
    ) -> None:
        """``surroundings`` are what the target's actions need; without them none runs."""
        self._shared = shared
        self._tree = shared.tree
        self._target = target
        self._container = container
        self._emit = emit
        self._restarting = parse_globs(target.restart)
        self._remote: dict[Key, Entry] = {}
        """What both sides had last; of paths that are only sent, what the container is known to have."""
        self._taking = Taking(
            shared.tree,
            self._remote,
            shared.carrying,
            shared.beginning,
            Reports(target.name, container, shared.tree, emit),
            send=self._mark_now,
            tell=shared.tell,
        )
        self._taking.on_settled = lambda: self.on_live()
        self._not_renamed: set[Key] = set()
        self._pending: set[Key] = set()
        self._since = 0.0
        self._wake = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._connection: Connection | None = None
        self._actions: ContainerActions | None = None
        if target.actions and surroundings:
            self._actions = ContainerActions(target, container, self, surroundings, lambda: self.on_live())
        self._welcome = Welcome(0, False, 0, 0, 0)
        self._compared = False
        self._told_failures: dict[Key, Failed] = {}
        self._obstructed: set[Key] = set()
        """What failed for something that is in its way, and may go with the next change."""
        self._unfinished: dict[Key, float] = {}
        """What is being written, and since when."""
        self._told_state = ProcessCode.RUNNING
        self._process_problem: list[str] = []
        self.marked = 0
        """Counts the calls of ``mark``."""
        self.on_live: Callable[[], None] = lambda: None
        """Called when more of what was marked is live."""
        self._taken = 0
        """What was marked when the last batch began."""
        self._sent = 0
        """What was marked when the last batch that arrived began."""
        self._to_repeat = False
        """Something of the last batch is sent with the next one in another way."""
        self._unacknowledged: set[Key] = set()
        """What a broken stream may have brought: what follows it is still to be done."""
        self._restart_lost = False
        """A new process was asked for on a stream that broke before the answer."""
        self._restarts: list[tuple[int, Answer]] = []
        """Asked for and not answered yet, with what was marked before."""

    def mark(self, keys: Collection[Key], since: float) -> None:
        """These changed at ``since`` (event loop time)."""
        if not keys:
            return
        self.marked += 1
        if not self._pending:
            self._since = since
        self._pending.update(keys)
        self._wake.set()
        self._caught_up.clear()
        self._taking.retry()

    def _mark_now(self, keys: Collection[Key]) -> None:
        self.mark(keys, asyncio.get_running_loop().time())

    async def run_actions(self) -> None:
        """Run what has to follow the sync, for as long as the container runs; over all its connections."""
        if self._actions:
            await self._actions.run()

    async def wait_caught_up(self) -> None:
        """Return when the container has what was marked so far, and what was in dispute is merged."""
        while not self._caught_up.is_set() or not self._taking.settled.is_set():
            await self._taking.settled.wait()
            await self._caught_up.wait()

    async def wait_settled(self) -> None:
        """Return when what follows the batches so far has been tried, too. Raises Disconnected."""
        if self._actions:
            await self._actions.wait_idle()

    async def restart(self) -> Answer | None:
        """Ask for a new process; returns the answer to come, None where no helper runs it. Raises Disconnected."""
        return await self._restart(0)

    def is_live(self, marked: int) -> bool:
        """Whether what was marked up to this call of ``mark`` is in the container, and what follows it was tried."""
        settled = self._taking.settled.is_set() and (self._actions is None or self._actions.is_idle)
        return self._sent >= marked and settled and not any(asked <= marked for asked, _ in self._restarts)

    def problems(self) -> list[str]:
        """What could not be done in the container, and still can't be."""
        failed = [notice.message for notice in self._notices(self._told_failures.values())]
        return failed + ([self._actions.failure] if self._actions and self._actions.failure else self._process_problem)

    async def signal(self, number: int) -> SignalResult:
        """Send the process and its group a signal. Raises Disconnected."""
        return await self._connected().signal(number)

    async def bring_up_to_date(self, connection: Connection, greeted: Callable[[], None] = lambda: None) -> None:
        """Compare everything and send what differs; returns when the process runs with it.

        ``greeted`` is called when the helper has answered.
        """
        since = asyncio.get_running_loop().time()
        self._connection = connection
        self._welcome = await connection.greet()
        greeted()
        self._take_pending()
        beginning = self._shared.beginning
        if beginning.over or beginning.concerns_only_containers:
            await self._compare(connection)
        else:
            async with beginning.turn:
                await self._compare(connection)
                beginning.over = True
        keys = {*self._tree.entries, *self._tree.deleted, *self._remote, *self._take_pending()}
        restarted = await self._send(connection, keys, since, initial=True)
        if not self._pending:
            self._caught_up.set()
        if restarted:
            await restarted
        self._arrived()

    async def follow(self, connection: Connection) -> None:
        """Carry changes for ever."""
        if not self._shared.carrying.taken_roots:
            await self._send_changes(connection)
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_changes(connection), name="send changes")
            tasks.create_task(self._taking.follow(connection), name="take changes")

    async def _compare(self, connection: Connection) -> None:
        shared = self._shared
        sent = await compare_sent(
            connection, self._welcome, shared.tree, shared.carrying, shared.beginning, first=not self._compared
        )
        for key in [key for key in self._remote if not self._is_taken(key)]:
            del self._remote[key]
        self._remote.update(sent)
        if shared.carrying.taken_roots:
            await self._taking.compare(connection, self._welcome)
        self._compared = True

    async def _send_changes(self, connection: Connection) -> None:
        """One as soon as it comes, those that come meanwhile together after it."""
        while True:
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                await connection.ping()
                continue
            since = self._since
            await self._send(connection, self._take_pending(), since)
            self._arrived()
            if not self._pending:
                self._caught_up.set()

    def on_changed(self, told: Changed) -> None:
        """What the helper tells of a watched folder."""
        self._taking.on_changed(told)

    def mark_all(self) -> None:
        """What counts has changed: anything may be different in the container."""
        self._taking.mark_all()

    def on_reply(self, reply: State | Restarted) -> None:
        """What the helper tells of the process."""
        if isinstance(reply, Restarted):
            self._process_problem = [f"the process was not started: {reply.text}"] if reply.result else []
            if reply.result == RestartResult.NOT_STARTED:
                self._emit_state("exited", reply.text)
        elif reply.process != self._told_state or reply.process == ProcessCode.RESTARTING:
            self._told_state = reply.process
            if reply.process == ProcessCode.EXITED:
                self._emit_state("exited", _ending(reply.code))
            else:
                self._emit_state("running" if reply.process == ProcessCode.RUNNING else "restarting")

    def _connected(self) -> Connection:
        if self._connection is None:
            raise Disconnected(f"there is no connection to {self._container.pod}")
        return self._connection

    def _take_pending(self) -> set[Key]:
        pending, self._pending = self._pending, set()
        self._taken = self.marked
        self._wake.clear()
        return pending

    def _arrived(self) -> None:
        if not self._to_repeat:
            self._sent = self._taken
        self.on_live()

    async def _restart(self, marked: int) -> Answer | None:
        """Ask for a new process, for what was marked so far."""
        if not self._welcome.supervised:
            notice = _not_supervised(self._target, self._container)
            self._emit(notice)
            self._process_problem = [notice.message]
            return None
        answer = await self._connected().restart()
        self._restarts.append((marked, answer))
        answer.add_done_callback(self._on_restarted)
        return answer

    def _on_restarted(self, restarted: Answer) -> None:
        self._restart_lost = restarted.cancelled() or restarted.exception() is not None
        self._restarts = [(marked, answer) for marked, answer in self._restarts if not answer.done()]
        self.on_live()

    async def _send(
        self, connection: Connection, keys: Collection[Key], since: float, *, initial: bool = False
    ) -> Answer | None:
        """Bring keys up to date; returns the answer to a request for a restart, where one was needed."""
        async with self._taking.turn:
            wanted = {key for key in (*keys, *self._obstructed) if self._may_send(key)}
            batch = make_batch(wanted, self._tree, self._remote, self._not_renamed, self._shared.carrying.takes)
            if not batch and not initial:
                return None
            owed = set(self._unacknowledged)
            self._unacknowledged |= batch.keys()
            self._taking.expect(batch.wanted, batch.keys())
            done, unfinished = await send_batch(
                batch, self._tree, connection.add, self._tell_progress, self._impatient()
            )
            failed = await connection.commit() if batch else []
            self._taking.expect({})
            self._unacknowledged.clear()
            self._settle(batch, done, failed, since)
        self._leave_to_writers(unfinished, since)
        arrived = {key: self._remote.get(key) for key in owed if key not in self._told_failures} | done
        restart = self._restart_lost or any(self._needs_restart(key, entry) for key, entry in arrived.items())
        self._restart_lost = False
        actions = self._actions.take(arrived, restart=restart) if self._actions else False
        followed = ", ".join(name for name, follows in (("actions", actions), ("restart", restart)) if follows)
        self._tell(batch, done, since, initial=initial, action=followed)
        return await self._restart(self._taken) if restart and not self._actions else None

    def _may_send(self, key: Key) -> bool:
        """What is being taken is sent, if at all, when that is done."""
        entry = self._tree.entries.get(key)
        if key in self._taking.busy or self._shared.beginning.is_apart(key, entry):
            return False
        return self._shared.carrying.sends(key, self._is_folder(key))

    def _is_folder(self, key: Key) -> bool:
        entry = self._tree.entries.get(key) or self._remote.get(key)
        return entry is not None and entry.kind == FOLDER

    def _is_taken(self, key: Key) -> bool:
        return self._shared.carrying.takes(key, self._is_folder(key))

    def _settle(self, batch: Batch, done: dict[Key, Entry | None], failed: Sequence[Failed], since: float) -> None:
        """Take out of ``done`` what failed, and note what the container has now."""
        sources = {new: old for old, new in batch.renames}
        self._to_repeat = any(Key(one.root, one.path) in sources for one in failed)
        told = []
        for failure in failed:
            key = Key(failure.root, failure.path)
            if key in batch.guards and self._is_unseen(key, sources.get(key, key), failure):
                done.pop(key, None)
                done.pop(sources.get(key, key), None)
                continue
            if key in sources:
                # the container's file is another one: send ours
                self._not_renamed.add(key)
                self.mark({key, sources[key], *above(sources[key])}, since)
                done.pop(sources[key], None)
            elif done.get(key, FOLDER) is None and failure.reason == Reason.NOT_EMPTY:
                if key in batch.guards:
                    done.pop(key, None)
                continue  # what is left in the folder is not ours to delete
            elif self._told_failures.get(key) != failure:
                self._told_failures[key] = failure
                told.append(failure)
            done.pop(key, None)
            if key not in batch.guards:
                self._remote.pop(key, None)
            if failure.reason not in _LASTING:
                self._obstructed.add(key)
        for key, entry in done.items():
            self._unfinished.pop(key, None)
            self._told_failures.pop(key, None)
            self._obstructed.discard(key)
            self._not_renamed.discard(key)
            if entry:
                self._remote[key] = entry
            else:
                self._remote.pop(key, None)
        if any(entry is None for entry in done.values()):
            # there may be room now for what there was none for
            full = [key for key, failure in self._told_failures.items() if failure.reason == Reason.NO_SPACE]
            self.mark(full, since)
        for notice in self._notices(told):
            self._emit(notice)

    def _notices(self, failures: Iterable[Failed]) -> Iterator[Notice]:
        return notices(failures, self._tree.roots, self._container, self._target.name, self._welcome.uid)

    def _impatient(self) -> set[Key]:
        now = asyncio.get_running_loop().time()
        return {key for key, since in self._unfinished.items() if now - since >= WRITER_SECONDS}

    def _leave_to_writers(self, keys: Collection[Key], since: float) -> None:
        """Try again soon: nothing tells when a file is closed that was looked at for another reason."""
        loop = asyncio.get_running_loop()
        for key in keys:
            self._unfinished.setdefault(key, loop.time())
        if keys:
            loop.call_later(_WRITER_RETRY_SECONDS, self.mark, keys, since)

    def _is_unseen(self, key: Key, source: Key, failure: Failed) -> bool:
        """Whether the container has something that is to be merged first; ``source`` is another one of a rename."""
        if failure.reason == Reason.CHANGED:
            self._taking.dispute([key, source])
            return True
        if failure.reason in _LASTING or key not in self._tree.entries or key in self._obstructed:
            return False
        # something above it or in it is in the way, and may be news; the rename's source is still there
        self._obstructed.update((key, source))
        self._taking.mark([key, *(folder for folder in above(key) if folder.path)])
        return True

    def _needs_restart(self, key: Key, entry: Entry | None) -> bool:
        return (entry is None or entry.kind != FOLDER) and bool(self._restarting.check(key.path, False))

    def _tell(self, batch: Batch, done: dict[Key, Entry | None], since: float, *, initial: bool, action: str) -> None:
        renamed = {old for old, _ in batch.renames}
        new = [entry for entry in done.values() if entry and entry.kind != FOLDER]
        contents = set(batch.contents)
        if not done and not initial:
            return
        self._emit(
            Synced(
                service=self._target.name,
                pod=self._container.pod,
                container=self._container.container,
                files=len(new),
                deleted=sum(entry is None and key not in renamed for key, entry in done.items()),
                bytes=sum(entry.size for key, entry in done.items() if entry and key in contents),
                seconds=asyncio.get_running_loop().time() - since,
                initial=initial,
                action=action,
                paths=tuple(shown(key.path) for key in [key for key in done if key.path][:_SHOWN_PATHS]),
            )
        )

    def _tell_progress(self, progress: Progress) -> None:
        container = self._container
        self._emit(
            SyncProgress(
                service=self._target.name, pod=container.pod, container=container.container, **progress._asdict()
            )
        )

    def _emit_state(self, state: Literal["running", "exited", "restarting"], message: str = "") -> None:
        container = self._container
        self._emit(
            ProcessState(
                service=self._target.name,
                pod=container.pod,
                container=container.container,
                state=state,
                message=message,
            )
        )


def _ending(code: int) -> str:
    return f"ended by signal {-code}" if code < 0 else f"ended with status {code}"


def _not_supervised(target: DevTarget, container: PodContainer) -> Notice:
    return Notice(
        level="error",
        message=f"{target.name}: the process in {container.pod}/{container.container} cannot be restarted",
        detail="the container was not started by the helper, since its command was not known",
        hint=f"set dev.{target.name}.command and run loop dev again",
    )
