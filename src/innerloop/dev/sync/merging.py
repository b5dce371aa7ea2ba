"""What becomes of a path that is kept the same on both sides, as a function of what each side has.

Content and kind decide, never modes and never time stamps, except where ``preferNewest`` asks for them.
"""

from __future__ import annotations

import enum

from innerloop.dev.sync.local_tree import Entry
from innerloop.project import Strategy


class Decision(enum.Enum):
    NOTHING = enum.auto()
    """Nothing has to be done: neither side has changed, or what changed is not carried."""
    AGREED = enum.auto()
    """Both sides have the same."""
    UPLOAD = enum.auto()
    DELETE_THERE = enum.auto()
    DOWNLOAD = enum.auto()
    DELETE_HERE = enum.auto()
    CONFLICT = enum.auto()
    """This machine's stays, and is sent where that is wanted; the container's is kept beside it."""
    APART = enum.auto()
    """Both stay as they are until one of them changes."""
    MODE = enum.auto()
    """Only the executable bits, here."""


def same(one: Entry | None, other: Entry | None) -> bool:
    """Whether two sides have the same at a path."""
    if one is None or other is None:
        return one is other
    return one.kind == other.kind and one.digest == other.digest


def merge(local: Entry | None, base: Entry | None, remote: Entry | None) -> Decision:
    """The three-way merge; ``base`` is what both sides had last, None: nothing."""
    if same(local, remote):
        return Decision.NOTHING if same(local, base) else Decision.AGREED
    if same(remote, base):
        return Decision.UPLOAD if local else Decision.DELETE_THERE
    if same(local, base):
        return Decision.DOWNLOAD if remote else Decision.DELETE_HERE
    # both changed: what was deleted on one side lives on by the other's change
    if local is None:
        return Decision.DOWNLOAD
    return Decision.CONFLICT if remote else Decision.UPLOAD


def begin(strategy: Strategy, local: Entry | None, remote: Entry | None, *, newer_there: bool = False) -> Decision:
    """The first comparison of two sides that have agreed on nothing yet.

    ``newer_there``: the container's was modified later, for ``preferNewest``; it says nothing of two kinds.
    """
    if same(local, remote):
        return Decision.AGREED if local else Decision.NOTHING
    if remote is None:
        return Decision.DELETE_HERE if strategy == "mirrorRemote" else Decision.UPLOAD
    if local is None:
        return Decision.DELETE_THERE if strategy == "mirrorLocal" else Decision.DOWNLOAD
    match strategy:
        case "preferLocal" | "mirrorLocal":
            return Decision.UPLOAD
        case "preferRemote" | "mirrorRemote":
            return Decision.DOWNLOAD
        case "keepAll":
            return Decision.APART
        case "preferNewest":
            if local.kind != remote.kind:
                return Decision.CONFLICT
            return Decision.DOWNLOAD if newer_there else Decision.UPLOAD


def without_sending(decision: Decision) -> Decision:
    """What is left of a decision where only the container's changes are carried."""
    return Decision.NOTHING if decision in (Decision.UPLOAD, Decision.DELETE_THERE) else decision
