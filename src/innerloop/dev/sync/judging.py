"""What becomes of each path, by what both sides have, had, and are known to want."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from innerloop.dev.sync.beginning import Beginning
from innerloop.dev.sync.carrying import Carrying
from innerloop.dev.sync.downloading import Step
from innerloop.dev.sync.local_tree import FILE, FOLDER, LINK, Entry, Key, LocalTree
from innerloop.dev.sync.merging import Decision, merge, same, without_sending
from innerloop.dev.sync.protocol import CHUNK


class Judge:
    """Decides for one container, and keeps what it and this machine have agreed on."""

    def __init__(self, tree: LocalTree, base: dict[Key, Entry], carrying: Carrying, beginning: Beginning) -> None:
        """``base`` is what both sides had last."""
        self._tree = tree
        self._base = base
        self._carrying = carrying
        self._beginning = beginning
        self.compared = False
        """The first comparison is over: a path without base is new on one side, or on both."""
        self.made_roots: Collection[int] = ()
        """Roots that the container did not have."""
        self.expected: Mapping[Key, Entry] = {}
        """What was on its way when a stream ended: the container may have it, or not."""
        self.skew = 0
        """What to add to the container's clock, in nanoseconds."""
        self._modes: dict[Key, int] = {}
        """Of the container's files, as last seen; those of ``base`` are this machine's."""

    def decide(self, key: Key, local: Entry | None, remote: Entry | None, modified: int) -> Decision:
        """``modified`` is when the container's was, in nanoseconds since the epoch."""
        if remote and same(remote, self.expected.get(key)):
            self._base[key] = self.expected[key]
        base = self._base.get(key)
        if base is not None or self.compared:
            decision = merge(local, base, remote)
            if decision in (Decision.NOTHING, Decision.AGREED) and self._made_executable(key, local, base, remote):
                return Decision.MODE
        elif self._beginning.over and local is None and key in self._tree.deleted:
            decision = Decision.DELETE_THERE if remote else Decision.NOTHING
        else:
            decision = self._beginning.decide(
                key, local, remote, lacking=key.root in self.made_roots, newer_there=self._is_newer(key, modified)
            )
        sends = self._carrying.sends(key, self.is_folder_at(key, remote))
        return decision if sends else without_sending(decision)

    def step(self, key: Key, decision: Decision, local: Entry | None, remote: Entry | None) -> Step:
        """What to do here, and where to keep what gives way. Raises LoopError when there is no such place."""
        replaces = local is not None and decision in (Decision.DOWNLOAD, Decision.DELETE_HERE)
        if replaces and key not in self._base and not self.compared:
            return Step(key, decision, local, remote, self._beginning.keep_at(self._tree.place(key)))
        return Step(key, decision, local, remote)

    def settle(self, key: Key, decision: Decision, local: Entry | None, remote: Entry | None) -> bool:
        """Take note of what the container has, where nothing changes here; returns whether that is news."""
        if remote and remote.kind == FILE:
            self._modes[key] = remote.mode
        if decision == Decision.AGREED and local and remote:
            lacking = local.kind == FILE and local.mode & 0o111 & ~remote.mode
            self._base[key] = local._replace(mode=-1) if lacking else local
            return bool(lacking)
        if decision == Decision.APART and local:
            self._beginning.apart[key] = local
        if same(self._base.get(key), remote):
            return decision == Decision.UPLOAD and key not in self._base
        self._note(key, remote)
        return True

    def agree(self, key: Key, entry: Entry | None, remote: Entry | None) -> None:
        """Both have ``entry`` now; ``remote`` is how the container was seen."""
        self._note(key, entry)
        if remote and remote.kind == FILE:
            self._modes[key] = remote.mode

    def compares_content(self, key: Key, entry: Entry) -> bool:
        """Whether the content has to be known before it is decided what becomes of a path."""
        if entry.kind == FOLDER:
            return False
        known = key in self._base or key in self._tree.entries or key in self._tree.deleted
        # a large one is read in several parts, which have to fit each other
        mirrored = self._beginning.strategy(key.root) == "mirrorLocal"
        return known or mirrored or entry.kind == LINK or entry.size > CHUNK

    def is_folder_at(self, key: Key, remote: Entry | None) -> bool:
        """Whether a path is one: in the container, else here, else for both before."""
        return is_folder(remote or self._tree.entries.get(key) or self._base.get(key))

    def _is_newer(self, key: Key, modified: int) -> bool:
        """Whether the container's file is, its clock set right, where that matters."""
        if self._beginning.strategy(key.root) != "preferNewest":
            return False
        return modified + self.skew > self._tree.modified(key)

    def _made_executable(self, key: Key, local: Entry | None, base: Entry | None, remote: Entry | None) -> bool:
        """Whether the container alone changed a file's executable bits; a difference from the beginning is none."""
        former = self._modes.get(key)
        if not (local and base and remote) or remote.kind != FILE or former is None:
            return False
        changed = (former ^ remote.mode) & 0o111
        return bool(changed and (local.mode ^ remote.mode) & 0o111 and base.mode == local.mode)

    def _note(self, key: Key, entry: Entry | None) -> None:
        if entry:
            self._base[key] = entry
        else:
            self._base.pop(key, None)


def is_folder(entry: Entry | None) -> bool:
    return entry is not None and entry.kind == FOLDER
