"""Looking at this machine's files: at some paths and all below them, or at everything."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping

from innerloop.dev.sync.local_tree import FILE, FOLDER, Content, Key, LocalTree, Look, above
from innerloop.dev.sync.reading import Special, read

Ignores = Mapping[int, Callable[[str, bool], bool]]
"""Of each root by number, whether a path in it does not count."""


def look(tree: LocalTree, at: Iterable[Key], ignores: Ignores, *, room: int = 0) -> Look:
    """Read what is at the keys, and below those that are folders. Touches nothing, so it may run in a thread.

    ``room``: so many bytes of contents are kept, for whoever is to send them at once.
    """
    result = Look([], {}, {}, {}, {})
    room = _look_at(tree, at, ignores, result, room)
    _look_at(tree, _other_names(tree, result), ignores, result, room)
    return result


def _look_at(tree: LocalTree, at: Iterable[Key], ignores: Ignores, result: Look, room: int) -> int:
    """Returns what room is left."""
    wanted = _highest(tree, at)
    left = list(wanted)
    checked: set[Key] = set()
    while left:
        key = left.pop()
        place = tree.path(key)
        try:
            if key in wanted:
                _check_way(tree, key, checked)
            # the root was named by the user, who may have named a link
            entry, inode, data = read(place, follow=not key.path or bool(tree.roots[key.root].only), keep=room)
            result.found[key] = entry
            if inode:
                result.linked[key] = inode
            if data is not None:
                result.contents[key] = Content(data, entry.digest)
                room -= len(data)
            if entry.kind == FOLDER:
                left += _inside(key, place, ignores[key.root])
        except (FileNotFoundError, NotADirectoryError, Special) as error:
            result.found.pop(key, None)
            result.contents.pop(key, None)
            if not key.path:
                result.errors[key] = error
        except OSError as error:
            result.errors[key] = error
        if key in wanted and (key.path or key in result.found):
            result.at.append(key)
    return room


def _other_names(tree: LocalTree, look: Look) -> list[Key]:
    """What else in the tree is the same file as something that was found."""
    inodes = set(look.linked.values())
    if not inodes:
        return []
    others = [key for key, inode in tree.linked.items() if inode in inodes and key not in look.found]
    # a file that got a further name had only one when it was last looked at
    new = inodes - set(tree.linked.values())
    for key, entry in tree.entries.items() if new else ():
        if entry.kind == FILE and key not in look.found and key not in tree.linked:
            with contextlib.suppress(OSError):
                status = os.lstat(tree.path(key))
                if (status.st_dev, status.st_ino) in new:
                    others.append(key)
    return others


def _highest(tree: LocalTree, at: Iterable[Key]) -> set[Key]:
    """The keys without those that are below another of them.

    Of what is above a key and was no folder when last looked at, the highest stands for it: only together they make
    sense. Many files share few folders, so these are asked about once.
    """
    keys = set(at)
    new = {folder: _highest_new(tree, folder) for folder in {key.folder for key in keys}}
    changed = {new[key.folder] or key for key in keys}
    below = {folder for folder in {key.folder for key in changed} if not changed.isdisjoint((folder, *above(folder)))}
    return {key for key in changed if not key.path or key.folder not in below}


def _highest_new(tree: LocalTree, folder: Key) -> Key | None:
    """The highest at or above that was no folder when last looked at."""
    highest = None
    for one in (folder, *above(folder)):
        if one.path and (one not in tree.entries or tree.entries[one].kind != FOLDER):
            highest = one
    return highest


def _check_way(tree: LocalTree, key: Key, checked: set[Key]) -> None:
    """Raises NotADirectoryError when the way to a path leads over a link: what is found there belongs elsewhere.

    ``checked`` has the folders that are none, and gets those of the path.
    """
    if key.folder in checked:
        return
    for folder in reversed([folder for folder in above(key) if folder.path and folder not in checked]):
        place = tree.path(folder)
        if not stat.S_ISDIR(os.lstat(place).st_mode):
            raise NotADirectoryError(f"{place} is no folder")
        checked.add(folder)


def _inside(folder: Key, place: str, ignores: Callable[[str, bool], bool]) -> Iterator[Key]:
    prefix = os.fsdecode(folder.path) + "/" if folder.path else ""
    with os.scandir(place) as entries:
        for entry in entries:
            path = prefix + entry.name
            if not ignores(path, entry.is_dir(follow_symlinks=False)):
                yield Key(folder.root, os.fsencode(path))
