"""The first comparison of what is only sent: one question per path of this machine, and what a strategy adds to it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from innerloop.dev.sync.batch import make_check, make_remote
from innerloop.dev.sync.beginning import Beginning
from innerloop.dev.sync.carrying import Carrying
from innerloop.dev.sync.connection import Connection
from innerloop.dev.sync.local_tree import FILE, FOLDER, NO_DIGEST, Entry, Key, LocalTree
from innerloop.dev.sync.merging import Decision
from innerloop.dev.sync.protocol import Difference, Welcome
from innerloop.dev.sync.remote_tree import RemoteTree


async def compare_sent(
    connection: Connection, welcome: Welcome, tree: LocalTree, carrying: Carrying, beginning: Beginning, *, first: bool
) -> dict[Key, Entry]:
    """What a container has of the paths that are sent and not taken, also of those that were deleted here.

    ``first``: it is compared for the first time; then, with ``mirrorLocal``, also what only it has there.
    """
    entries = {key: entry for key, entry in tree.entries.items() if _is_only_sent(key, entry, carrying)}
    results = await connection.check(make_check(entries, tree))
    remote = make_remote(entries.items(), results)
    differing = [
        key
        for key, result in zip(entries, results, strict=True)
        if result in (Difference.CONTENT, Difference.KIND) and beginning.strategy(key.root) != "preferLocal"
    ]
    await _leave_apart(differing, connection, welcome, tree, beginning)
    remote |= await _find_deleted(connection, tree, carrying)
    mirrored = [root for root in range(len(tree.roots)) if _is_mirrored(root, carrying, beginning)]
    if mirrored and first:
        remote |= await _list_what_is_not_here(mirrored, connection, tree, carrying)
    return remote


def _is_only_sent(key: Key, entry: Entry, carrying: Carrying) -> bool:
    folder = entry.kind == FOLDER
    return carrying.sends(key, folder) and not carrying.takes(key, folder)


def _is_mirrored(root: int, carrying: Carrying, beginning: Beginning) -> bool:
    return beginning.strategy(root) == "mirrorLocal" and not carrying.takes_root(root)


async def _leave_apart(
    keys: list[Key], connection: Connection, welcome: Welcome, tree: LocalTree, beginning: Beginning
) -> None:
    """Note which of the paths that differ are not to be sent."""
    skew = time.time_ns() - welcome.clock
    asked = [key for key in keys if key in tree.entries]
    for key, found in zip(asked, await connection.look(asked), strict=True):
        entry = tree.entries.get(key)
        if entry is None:
            continue  # deleted while we looked
        there = entry._replace(kind=found.kind, digest=found.digest)
        newer = found.mtime + skew > tree.modified(key)
        decision = beginning.decide(key, entry, there, lacking=False, newer_there=newer)
        if decision in (Decision.APART, Decision.DOWNLOAD):
            beginning.apart[key] = entry


async def _find_deleted(connection: Connection, tree: LocalTree, carrying: Carrying) -> dict[Key, Entry]:
    """What is still there of what was deleted here, be it a folder or not; its content is of no interest."""
    asked = [key for key in tree.deleted if carrying.sends(key, False) and not carrying.takes(key, False)]
    results = await connection.check(make_check(dict.fromkeys(asked, Entry(FOLDER, 0, 0, NO_DIGEST)), tree))
    return {
        key: Entry(FILE if result == Difference.KIND else FOLDER, -1, 0, NO_DIGEST)
        for key, result in zip(asked, results, strict=True)
        if result != Difference.MISSING
    }


async def _list_what_is_not_here(
    roots: Iterable[int], connection: Connection, tree: LocalTree, carrying: Carrying
) -> dict[Key, Entry]:
    def wanted(key: Key, folder: bool) -> bool:
        return carrying.counts(key, folder) and carrying.sends(key, folder)

    seen = await RemoteTree(connection, tree, carrying).scan((Key(root, b"") for root in roots), wanted, watch=False)
    return {key: entry for key, entry in seen.entries.items() if key not in tree.entries}
