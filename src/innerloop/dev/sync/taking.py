"""The way back: what a container changes is merged into the local tree, from where other containers get it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from innerloop.dev.sync import protocol
from innerloop.dev.sync.beginning import Beginning
from innerloop.dev.sync.carrying import Carrying
from innerloop.dev.sync.connection import Connection
from innerloop.dev.sync.doubting import Doubts
from innerloop.dev.sync.downloading import FILES_UNDER_WAY, Downloads, Outcome, Step
from innerloop.dev.sync.judging import Judge, is_folder
from innerloop.dev.sync.local_tree import Entry, Key, LocalTree, above
from innerloop.dev.sync.merging import Decision
from innerloop.dev.sync.protocol import Change, Changed, Head, Welcome
from innerloop.dev.sync.remote_tree import RemoteTree, Seen, below
from innerloop.dev.sync.taking_reports import Reports

AGAIN_SECONDS = 0.2
"""Before a file is tried again that changed while it was read."""
ROOT_SECONDS = 2.0
"""Between looks for a root that is gone."""

_CHANGES_HERE = (Decision.DOWNLOAD, Decision.DELETE_HERE, Decision.CONFLICT, Decision.MODE)

Tell = Callable[[Collection[Key]], None]


class _Todo(NamedTuple):
    """What one look found to be done here."""

    steps: list[Step]
    since: float


class Taking:
    """One container's changes on their way here, over one stream after the other."""

    def __init__(
        self,
        tree: LocalTree,
        base: dict[Key, Entry],
        carrying: Carrying,
        beginning: Beginning,
        reports: Reports,
        *,
        send: Tell,
        tell: Tell,
    ) -> None:
        """``base`` is what both sides had last, shared with what sends. ``send`` is called with what this container
        has to be sent, ``tell`` with what changed here for all of them."""
        self._tree = tree
        self._base = base
        self._carrying = carrying
        self._beginning = beginning
        self._judge = Judge(tree, base, carrying, beginning)
        self._reports = reports
        self._send = send
        self._tell = tell
        self.turn = asyncio.Lock()
        """Held while the container's state is looked at and judged, and while it is changed."""
        self.busy: set[Key] = set()
        """Paths that are being taken: they are sent when that is done."""
        self.settled = asyncio.Event()
        """No path waits for being taken before it can be sent."""
        self.settled.set()
        self.on_settled: Callable[[], None] = lambda: None
        self.is_another_spelling: Callable[[Key], bool] = lambda key: False
        """Of what is seen in the container, what is not there under that name."""
        self._disputed: set[Key] = set()
        self._postponed: set[Key] = set()
        """What changed again while it was being taken."""
        self._places = asyncio.Semaphore(FILES_UNDER_WAY)
        self._missing: set[int] = set()
        """Roots that are gone."""
        self._pending: set[Key] = set()
        self._lost_roots: set[int] = set()
        self._doubts = Doubts(self.mark)
        self._untaken: set[Key] = set()
        self._since = 0.0
        self._wake = asyncio.Event()

    def mark(self, keys: Iterable[Key]) -> None:
        """These may be different in the container from what is known."""
        if not self._pending:
            self._since = asyncio.get_running_loop().time()
        self._pending.update(key for key in keys if self._carrying.takes_root(key.root))
        if self._pending:
            self._wake.set()

    def mark_all(self) -> None:
        """Anything may be different."""
        self._lost_roots.update(self._carrying.taken_roots)
        self._wake.set()

    def retry(self) -> None:
        """Something changed here: what could not be written may be possible now."""
        if self._untaken:
            self.mark(self._untaken)

    def dispute(self, keys: Collection[Key]) -> None:
        """The container has something else at these than is known: what is here is sent when that is seen."""
        self._disputed.update(keys)
        self.settled.clear()
        self.mark(keys)

    def expect(self, sent: Mapping[Key, Entry]) -> None:
        """The container may have these, or not: they are on their way, and the stream may end before it tells."""
        self._judge.expected = sent

    def on_changed(self, told: Changed) -> None:
        """What the helper tells of a watched folder."""
        if told.change == Change.LOST:
            self.mark_all()
        elif told.change == Change.GONE and not told.folder:
            self._lose_root(told.root)
        else:
            path = b"/".join(filter(None, (told.folder, told.name)))
            key = Key(told.root, path)
            if self._carrying.takes(key, False) or self._carrying.takes(key, True):
                self.mark([key])

    async def compare(self, connection: Connection, welcome: Welcome) -> None:
        """Everything, and take what has to be taken; from then on changes are told."""
        self._judge.skew = time.time_ns() - welcome.clock
        self._pending.clear()
        self._lost_roots.clear()
        self._doubts.clear()
        roots = set(self._carrying.taken_roots)
        self._judge.made_roots = await self._make_roots(connection, roots)
        await self._carry_out(connection, await self._look(connection, set(), roots))
        self._judge.compared = True

    async def follow(self, connection: Connection) -> None:
        """Take changes for ever. A large file that is on its way does not hold up what changes meanwhile."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._wake.wait()
                self._wake.clear()
                keys, self._pending = self._pending, set()
                roots, self._lost_roots = self._lost_roots, set()
                todo = await self._look(connection, keys, roots)
                if todo.steps:
                    tasks.create_task(self._carry_out(connection, todo), name="take changes")

    async def _make_roots(self, connection: Connection, roots: Iterable[int]) -> set[int]:
        """Make those that are missing, since only what is there can be watched."""
        asked = [Key(root, b"") for root in roots]
        found = await connection.look(asked)
        missing = {key.root for key, one in zip(asked, found, strict=True) if one.kind == b"-"}
        for root in missing:
            await connection.write(protocol.folder(Head(root, b"", 0o755)))
        if missing:
            # one that cannot be made is told as gone, and where this machine's changes are carried as not synced
            await connection.commit()
        return missing

    async def _look(self, connection: Connection, keys: set[Key], roots: set[int]) -> _Todo:
        """Look at what may have changed, settle what changes nothing here, and return what does."""
        since = self._since if keys else asyncio.get_running_loop().time()
        remote = RemoteTree(connection, self._tree, self._carrying)
        async with self.turn:
            seen, at = await self._see(remote, keys, roots)
            self._postponed |= at & self.busy
            steps = self._decide(seen, at - self.busy)
            self._disputed -= keys
        self._reports.seen(seen, self._tree.entries.keys() | self._base.keys() if seen.unknown else ())
        self._update_settled()
        return _Todo(steps, since)

    async def _carry_out(self, connection: Connection, todo: _Todo) -> None:
        outcomes: list[Outcome] = []

        def finish(outcome: Outcome) -> None:
            self._finish(outcome)
            outcomes.append(outcome)

        try:
            stamp = time.strftime("%Y%m%d-%H%M%S")
            await Downloads(connection, self._tree, self._places, stamp, finish).carry_out(todo.steps)
        finally:
            self.busy.difference_update(step.key for step in todo.steps)
            self._report(outcomes, todo.since)
            self._update_settled()
        self._mark_later({one.step.key for one in outcomes if one.again}, AGAIN_SECONDS)

    def _update_settled(self) -> None:
        if self.busy or self._disputed:
            self.settled.clear()
        else:
            self.settled.set()
            self.on_settled()

    async def _see(self, remote: RemoteTree, keys: set[Key], roots: set[int]) -> tuple[Seen, set[Key]]:
        """What is at the keys and below, and in the roots; and which paths that tells of."""
        tops = {Key(root, b"") for root in {*roots, *(key.root for key in keys)}}
        seen = await remote.look({*tops, *keys})
        for top in tops:
            if top in seen.entries or top in seen.unknown:
                self._missing.discard(top.root)
            else:
                self._lose_root(top.root)
                keys = {key for key in keys if key.root != top.root}
                roots = roots - {top.root}
        asked = {*keys, *(Key(root, b"") for root in roots)}
        # a single file has no path for its folder, which is listed for it
        asks = {key for key in asked if not key.path or self._carrying.takes(key, True)}
        folders = {key for key in asks if is_folder(seen.entries.get(key))}
        scanned = await remote.scan(folders, self._carrying.takes, watch=True)
        await remote.add_digests(
            scanned, [key for key, entry in scanned.entries.items() if self._judge.compares_content(key, entry)]
        )
        at = {*asked, *scanned.entries}
        changed = folders | {key for key in keys if is_folder(self._base.get(key))}
        at.update(below(self._base, changed))
        at.update(below(self._tree.entries, {Key(root, b"") for root in roots}))
        seen.add(scanned)
        seen.forget([key for key in seen.entries if self.is_another_spelling(key)])
        return seen, {key for key in at if self._is_judged(key, seen)}

    def _is_judged(self, key: Key, seen: Seen) -> bool:
        if key in seen.unknown or not seen.unknown.keys().isdisjoint(above(key)):
            return False
        return self._carrying.takes(key, self._judge.is_folder_at(key, seen.entries.get(key)))

    def _decide(self, seen: Seen, at: Iterable[Key]) -> list[Step]:
        """Settle what needs no change here; returns what does."""
        steps, sent = [], set()
        for key in at:
            local, remote = self._tree.entries.get(key), seen.entries.get(key)
            decision = self._judge.decide(key, local, remote, seen.modified.get(key, 0))
            if decision in _CHANGES_HERE:
                if not self._is_doubted(key, local, remote):
                    steps.append(self._judge.step(key, decision, local, remote))
                continue
            self._doubts.drop([key])
            if self._judge.settle(key, decision, local, remote) or key in self._disputed:
                sent.add(key)
        self.busy.update(step.key for step in steps)
        self._send(sent)
        return steps

    def _is_doubted(self, key: Key, local: Entry | None, remote: Entry | None) -> bool:
        """Whether something vanished just now, so that it has to be seen once more."""
        vanished = remote is None or (is_folder(local) and not is_folder(remote))
        if vanished and self._judge.compared:
            return self._doubts.holds(key)
        self._doubts.drop([key])
        return False

    def _finish(self, outcome: Outcome) -> None:
        step = outcome.step
        key = step.key
        self.busy.discard(key)
        self._untaken.discard(key)
        if key in self._postponed:
            self._postponed.discard(key)
            self.mark([key])
        if outcome.again:
            return
        if outcome.error:
            self._untaken.add(key)
            return
        self._judge.agree(key, outcome.entry, step.remote)
        # also the folders, which may be empty now
        self._tell([key, *above(key)] if outcome.stays else [key])

    def _report(self, outcomes: list[Outcome], since: float) -> None:
        self._reports.failures(outcomes)
        self._reports.conflicts(outcomes)
        self._reports.batch(outcomes, since)
        kept = [one for one in outcomes if one.step.kept and not (one.again or one.error)]
        if kept and self._beginning.kept:
            self._reports.kept(self._beginning.kept, len(kept))

    def _lose_root(self, root: int) -> None:
        """What both had is forgotten: nobody deletes by that."""
        for key in [key for key in self._base if key.root == root]:
            del self._base[key]
        self._doubts.drop_root(root)
        if root not in self._missing:
            self._missing.add(root)
            self._reports.root_gone(root)
        asyncio.get_running_loop().call_later(ROOT_SECONDS, self._seek_root, root)

    def _seek_root(self, root: int) -> None:
        self._lost_roots.add(root)
        self._wake.set()

    def _mark_later(self, keys: set[Key], seconds: float) -> None:
        if keys:
            asyncio.get_running_loop().call_later(seconds, self.mark, keys)
