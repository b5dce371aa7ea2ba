"""What a container's synced folders hold, as far as it is carried: asked of the helper, folder by folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from innerloop.dev.ignoring import IGNORE_FILE
from innerloop.dev.sync import protocol
from innerloop.dev.sync.carrying import Carrying
from innerloop.dev.sync.connection import Connection
from innerloop.dev.sync.local_tree import FILE, FOLDER, LINK, Entry, Key, LocalTree, above
from innerloop.dev.sync.protocol import Found, Listed, Listing, Reason

Wanted = Callable[[Key, bool], bool]
"""Whether a path counts; the second argument tells that it is a folder."""

SPECIAL = "it is neither file, folder nor link there"

_UNDER_WAY = 32
"""Questions about folders asked at a time."""
_PLAIN = (FILE, FOLDER, LINK)


class Seen(NamedTuple):
    """What is at some paths, and below those that are folders."""

    entries: dict[Key, Entry]
    modified: dict[Key, int]
    """Nanoseconds since the epoch, by the container's clock."""
    unknown: dict[Key, str]
    """What sync cannot handle or read, and why; nothing is known of it, nor of what is below."""
    unwatched: set[Key]
    """Folders whose changes are not told, since the node allows no more watches."""

    def add(self, other: Seen) -> None:
        self.entries.update(other.entries)
        self.modified.update(other.modified)
        self.unknown.update(other.unknown)
        self.unwatched.update(other.unwatched)

    def forget(self, keys: Iterable[Key]) -> None:
        """Nothing is at these."""
        for key in keys:
            self.entries.pop(key, None)
            self.modified.pop(key, None)
            self.unknown.pop(key, None)


class RemoteTree:
    """Looks over one connection."""

    def __init__(self, connection: Connection, tree: LocalTree, carrying: Carrying) -> None:
        self._connection = connection
        self._tree = tree
        self._carrying = carrying
        self._asking = asyncio.Semaphore(_UNDER_WAY)

    async def look(self, keys: Collection[Key]) -> Seen:
        """What is at paths themselves, with digests."""
        asked = list(keys)
        seen = Seen({}, {}, {}, set())
        for key, found in zip(asked, await self._connection.look(asked), strict=True):
            _take(seen, key, found)
        return seen

    async def scan(self, folders: Iterable[Key], wanted: Wanted, *, watch: bool) -> Seen:
        """What is wanted below folders, without digests. ``watch``: and to be told of changes in there."""
        seen = Seen({}, {}, {}, set())
        async with asyncio.TaskGroup() as tasks:
            for folder in folders:
                tasks.create_task(self._descend(folder, seen, tasks, wanted, watch), name="list folder")
        return seen

    async def add_digests(self, seen: Seen, keys: Collection[Key]) -> None:
        """Look again at some of what was listed; what is gone since goes."""
        for key in keys:
            del seen.entries[key]
        seen.add(await self.look(keys))

    async def _descend(self, folder: Key, seen: Seen, tasks: asyncio.TaskGroup, wanted: Wanted, watch: bool) -> None:
        listed = await self._list(folder, seen, watch)
        if listed.listing == Listing.FAILED:
            # what vanished since it was listed is told by the watch of the folder above
            if listed.reason == Reason.NOT_FOUND:
                seen.entries.pop(folder, None)
            else:
                seen.unknown[folder] = listed.text or "it cannot be listed there"
            return
        entries = [(_inside(folder, name), found) for name, found in listed.entries if _is_name(name)]
        await self._learn_ignore_file(folder, entries)
        if folder.path and not wanted(folder, True):
            seen.entries.pop(folder, None)
            return
        for key, found in entries:
            if wanted(key, found.kind == FOLDER):
                _take(seen, key, found)
                if found.kind == FOLDER:
                    tasks.create_task(self._descend(key, seen, tasks, wanted, watch), name="list folder")

    async def _list(self, folder: Key, seen: Seen, watch: bool) -> Listed:
        async with self._asking:
            listed = await self._connection.list_folder(folder.root, folder.path, watch=watch)
            if listed.listing == Listing.FAILED and listed.reason == Reason.NO_WATCHES:
                seen.unwatched.add(folder)
                listed = await self._connection.list_folder(folder.root, folder.path, watch=False)
        return listed

    async def _learn_ignore_file(self, folder: Key, entries: Iterable[tuple[Key, Found]]) -> None:
        """Tools mark the folders that they make in a container, too: what is in such a one is not for here."""
        ignore_file = _inside(folder, IGNORE_FILE.encode())
        there = dict(entries).get(ignore_file)
        is_news = there and there.kind == FILE and ignore_file not in self._tree.entries
        if is_news and not self._tree.roots[folder.root].only:
            async with self._asking:
                content = await self._connection.read(ignore_file.root, ignore_file.path, 0, protocol.CHUNK)
            if content.found.kind == FILE:
                self._carrying.learn(folder, content.data)


def entry_of(found: Found) -> Entry:
    return Entry(found.kind, found.mode & 0o777, 0 if found.kind == FOLDER else found.size, found.digest)


def below(keys: Iterable[Key], tops: Collection[Key]) -> list[Key]:
    """The keys that are below some folders, not those themselves."""
    return [key for key in keys if any(folder in tops for folder in above(key))] if tops else []


def _take(seen: Seen, key: Key, found: Found) -> None:
    if found.kind in _PLAIN:
        seen.entries[key] = entry_of(found)
        seen.modified[key] = found.mtime
    elif found.kind == b"!":
        seen.unknown[key] = "it cannot be read there"
    elif found.kind != b"-":
        seen.unknown[key] = SPECIAL


def _inside(folder: Key, name: bytes) -> Key:
    return Key(folder.root, b"%s/%s" % (folder.path, name) if folder.path else name)


def _is_name(name: bytes) -> bool:
    """What comes from a container becomes a path here: nothing but a plain name may."""
    return name not in (b"", b".", b"..") and b"/" not in name and b"\0" not in name
