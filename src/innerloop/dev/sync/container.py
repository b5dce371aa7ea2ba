"""Keeping one container the same as the local tree, over one connection after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

from innerloop.dev.globs import parse_globs
from innerloop.dev.pods import PodContainer
from innerloop.dev.sync.actions import ContainerActions, Surroundings
from innerloop.dev.sync.batch import make_batch
from innerloop.dev.sync.beginning import Beginning
from innerloop.dev.sync.carrying import Carrying
from innerloop.dev.sync.case_clashes import CaseClashes
from innerloop.dev.sync.comparing import compare_sent
from innerloop.dev.sync.connection import Answer, Connection
from innerloop.dev.sync.delivered import Delivered, Done
from innerloop.dev.sync.developed_process import DevelopedProcess
from innerloop.dev.sync.local_tree import FOLDER, Content, Entry, Key, LocalTree
from innerloop.dev.sync.pending import Marked, Pending
from innerloop.dev.sync.protocol import Changed, Restarted, State, Welcome
from innerloop.dev.sync.sending import Source, send_batch
from innerloop.dev.sync.sending_reports import SendingReports
from innerloop.dev.sync.taking import Taking
from innerloop.dev.sync.taking_reports import Reports
from innerloop.events import Emit
from innerloop.project import DevTarget

PING_SECONDS = 15.0
"""The helper gives up after 60 s of silence."""
_NONE: Mapping[Key, Content] = MappingProxyType({})


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
        self.on_live: Callable[[], None] = lambda: None
        """Called when more of what was marked is live."""
        self._shared = shared
        self._tree = shared.tree
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
        self._taking.on_settled = self._tell_live
        self._pending = Pending()
        self._delivered = Delivered(shared.tree, self._remote, self._taking, self.mark)
        self._reports = SendingReports(target.name, container, shared.tree.roots, emit)
        self._clashes = CaseClashes(shared.tree, self._remote, self._reports.clash)
        self._taking.is_another_spelling = self._clashes.is_another_spelling
        self._process = DevelopedProcess(target, container, emit, self._tell_live)
        self._actions: ContainerActions | None = None
        if target.actions and surroundings:
            self._actions = ContainerActions(target, container, self._process, surroundings, self._tell_live)
        self._compared = False

    @property
    def marked(self) -> int:
        """Number of the last mark."""
        return self._pending.marked

    def mark(self, keys: Collection[Key], since: float, contents: Mapping[Key, Content] = _NONE) -> None:
        """These changed at ``since`` (event loop time). ``contents`` has what was read of some of them."""
        if keys:
            self._pending.mark(keys, since, contents)
            self._taking.retry()

    def mark_all(self) -> None:
        """What counts has changed: anything may be different in the container."""
        self._taking.mark_all()

    def has(self, marked: int) -> bool:
        """Whether what was marked up to this number is in the container, and what was in dispute is merged."""
        return self._pending.arrived >= marked and self._taking.settled.is_set()

    def is_live(self, marked: int) -> bool:
        """Whether the container has what was marked up to this number, and what follows it was tried."""
        is_followed = self._actions is None or self._actions.is_idle
        return self.has(marked) and is_followed and self._process.is_started(marked)

    def problems(self) -> list[str]:
        """What could not be done in the container, and still can't be."""
        follows = (self._actions.failure if self._actions else "") or self._process.problem
        return self._reports.problems(self._delivered.failures.values()) + ([follows] if follows else [])

    async def run_actions(self) -> None:
        """Run what has to follow the sync, for as long as the container runs; over all its connections."""
        if self._actions:
            await self._actions.run()

    async def wait_settled(self) -> None:
        """Return when what follows the batches so far has been tried, too. Raises Disconnected."""
        if self._actions:
            await self._actions.wait_idle()

    async def bring_up_to_date(self, connection: Connection, greeted: Callable[[], None] = lambda: None) -> None:
        """Compare everything and send what differs; returns when the process runs with it.

        ``greeted`` is called when the helper has answered.
        """
        since = asyncio.get_running_loop().time()
        welcome = await connection.greet()
        self._process.connect(connection, is_supervised=welcome.supervised)
        self._reports.uid = welcome.uid
        greeted()
        self._pending.take()
        beginning = self._shared.beginning
        if beginning.over or beginning.concerns_only_containers:
            await self._compare(connection, welcome)
        else:
            async with beginning.turn:
                await self._compare(connection, welcome)
                beginning.over = True
        later = self._pending.take()
        new = {key for key, entry in self._tree.entries.items() if self._remote.get(key) is not entry}
        keys = new | (self._remote.keys() - self._tree.entries.keys()) | set(later.keys)
        restarted = await self._send(connection, Marked(keys, since, later.contents), initial=True)
        if restarted:
            await restarted
        self._note_arrival()

    async def follow(self, connection: Connection) -> None:
        """Carry changes for ever."""
        if not self._shared.carrying.taken_roots:
            await self._send_changes(connection)
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_changes(connection), name="send changes")
            tasks.create_task(self._taking.follow(connection), name="take changes")

    def on_changed(self, told: Changed) -> None:
        """What the helper tells of a watched folder."""
        self._taking.on_changed(told)

    def on_reply(self, reply: State | Restarted) -> None:
        """What the helper tells of the process."""
        self._process.take(reply)

    async def _compare(self, connection: Connection, welcome: Welcome) -> None:
        shared = self._shared
        sent = await compare_sent(
            connection, welcome, shared.tree, shared.carrying, shared.beginning, first=not self._compared
        )
        for key in [key for key in self._remote if not self._is_taken(key)]:
            del self._remote[key]
        self._remote.update(sent)
        if shared.carrying.taken_roots:
            await self._taking.compare(connection, welcome)
        self._clashes.compared()
        self._compared = True

    async def _send_changes(self, connection: Connection) -> None:
        """One as soon as it comes, those that come meanwhile together after it."""
        while True:
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await self._pending.wait()
            except TimeoutError:
                await connection.ping()
                continue
            await self._send(connection, self._pending.take())
            self._note_arrival()

    async def _send(self, connection: Connection, marked: Marked, *, initial: bool = False) -> Answer | None:
        """Bring keys up to date; returns the answer to a request for a restart, where one was needed."""
        delivered, carrying = self._delivered, self._shared.carrying
        async with self._taking.turn:
            wanted = {key for key in (*marked.keys, *delivered.obstructed) if self._may_send(key)}
            now, later, first = await self._clashes.sort_out(connection, wanted)
            batch = make_batch(now, self._tree, self._remote, delivered.not_renamed, carrying.takes, first)
            if not batch and not initial:
                return None
            owed = delivered.begin(batch)
            source = Source(self._tree, marked.contents, delivered.impatient())
            done, unfinished = await send_batch(batch, source, connection.add, self._reports.progress)
            failed = await connection.commit() if batch else []
            self._reports.failures(delivered.settle(batch, done, failed, marked.since))
            if done and later:
                delivered.is_repeated = True
                self.mark(later, marked.since)
        delivered.leave_to_writers(unfinished, marked.since)
        arrived = {key: self._remote.get(key) for key in owed if key not in delivered.failures} | done
        restart, actions = self._take_arrived(arrived)
        followed = ", ".join(name for name, follows in (("actions", actions), ("restart", restart)) if follows)
        self._reports.batch(batch, done, marked.since, initial=initial, action=followed)
        return await self._process.restart(self._pending.taken) if restart and not self._actions else None

    def _take_arrived(self, arrived: Done) -> tuple[bool, bool]:
        """Returns whether a new process, and whether actions follow; where the target has actions, these see to the
        process, too."""
        restart = self._process.take_owed() or any(self._needs_restart(key, entry) for key, entry in arrived.items())
        return restart, self._actions.take(arrived, restart=restart) if self._actions else False

    def _needs_restart(self, key: Key, entry: Entry | None) -> bool:
        return (entry is None or entry.kind != FOLDER) and bool(self._restarting.check(key.path, False))

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

    def _mark_now(self, keys: Collection[Key]) -> None:
        self.mark(keys, asyncio.get_running_loop().time())

    def _note_arrival(self) -> None:
        if not self._delivered.is_repeated:
            self._pending.arrived = self._pending.taken
        self._tell_live()

    def _tell_live(self) -> None:
        self.on_live()
