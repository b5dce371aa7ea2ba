"""Watching trees by inotify, which knows only single folders."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from innerloop.dev.watching import inotify
from innerloop.dev.watching.batches import Ignores, Watch
from innerloop.errors import LoopError

_CAME_OR_WENT = inotify.CREATE | inotify.DELETE | inotify.MOVED_FROM | inotify.MOVED_TO

CREATED_SECONDS = 0.1
"""How long a file that was created but not written yet is left to its writer."""


class InotifyWatch(Watch):
    """Watches each folder below the paths, and the nearest existing folder above each path: there a path's own
    creation, removal and renaming are seen. Of the folders further up, only whether they stay."""

    def __init__(self, paths: Iterable[Path], ignore: Ignores) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._inotify = inotify.instance()
        self._roots = tuple(dict.fromkeys(os.path.abspath(path) for path in paths))
        self._below = tuple(_prefix(root) for root in self._roots)
        """What the paths below them begin with."""
        self._ignore = ignore
        self._watches: dict[str, int] = {}
        self._files: dict[str, bool] = {}
        """Files with events since the last flush, and whether the last one was their creation."""
        self._created: dict[str, float] = {}
        """Files that are left to their writers, and until when."""
        try:
            for root in self._roots:
                self._add_root(root)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for folder, watch in self._watches.items():
            self._inotify.remove(self, folder, watch)
        self._watches.clear()
        super().close()

    def take(self, folder: str, mask: int, name: str) -> None:
        """An event from inotify."""
        if not name:
            if mask & (inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.UNMOUNT):
                self._renew(folder)
            return
        path = f"{folder}/{name}" if folder != "/" else f"/{name}"
        if mask & inotify.FOLDER:
            self._take_folder(path, mask)
        else:
            self._take_file(path, mask)

    def ended(self, folder: str, watch: int) -> None:
        if self._watches.get(folder) == watch:
            del self._watches[folder]

    def overflowed(self) -> None:
        # what became of these may be among what was lost
        former, self._watches = self._watches, {}
        for root in self._roots:
            self._guard(self._add_root, root)
        for folder, watch in former.items():
            if self._watches.get(folder) != watch:
                self._inotify.remove(self, folder, watch)
        self._changed.update(self._roots)

    def flush(self) -> None:
        for path, is_created in self._files.items():
            if is_created and _awaits_writer(path):
                # what was there before is no news any more
                self._changed.discard(path)
                self._leave_to_writer(path)
            else:
                self._report(path)
        self._files.clear()
        super().flush()

    def _take_folder(self, path: str, mask: int) -> None:
        if mask & _CAME_OR_WENT:
            self._renew(path)
        if path not in self._roots and (not path.startswith(self._below) or self._ignore(path, True)):
            return
        if mask & inotify.MOVED_FROM:
            self._forget(path)
        elif mask & (inotify.CREATE | inotify.MOVED_TO):
            self._guard(self._add_tree, path)
        self._files.pop(path, None)
        self._report(path)

    def _take_file(self, path: str, mask: int) -> None:
        if path in self._roots:
            if mask & _CAME_OR_WENT:
                # a link to a folder came or went
                self._forget(path)
                if os.path.isdir(path):
                    self._guard(self._add_tree, path)
        elif not path.startswith(self._below):
            return
        elif path not in self._files and path not in self._created and self._ignore(path, False):
            return
        self._files[path] = bool(mask & inotify.CREATE)

    def _report(self, path: str) -> None:
        self._created.pop(path, None)
        self._changed.add(path)

    def _leave_to_writer(self, path: str) -> None:
        """A new file is likely to be written and closed; if it is not, it is reported a little later."""
        if not self._created:
            self._loop.call_later(CREATED_SECONDS, self._report_created)
        self._created[path] = self._loop.time() + CREATED_SECONDS

    def _gather(self) -> None:
        self._inotify.read_all()
        self._changed.update(self._created)
        self._created.clear()

    def _report_created(self) -> None:
        now = self._loop.time()
        due = [path for path, time in self._created.items() if time <= now]
        for path in due:
            del self._created[path]
        self._changed.update(due)
        if self._created and not self._closed:
            self._loop.call_later(CREATED_SECONDS, self._report_created)
        self.flush()

    def _renew(self, folder: str) -> None:
        """A folder above some of the paths came or went: find them anew. (Of one below, the folder above it tells.)"""
        roots = [root for root in self._roots if _is_below(root, folder)]
        if not roots:
            return
        self._forget(folder)
        for root in roots:
            self._guard(self._add_root, root)
            self._changed.add(root)

    def _add_root(self, root: str) -> None:
        above = os.path.dirname(root)
        while not self._add(above) and above != os.path.dirname(above):
            above = os.path.dirname(above)
        # what was missing may have been made before the folder above it was watched
        while above != os.path.dirname(root):
            above = os.path.join(above, os.path.relpath(root, above).partition("/")[0])
            if not self._add(above):
                break
        if os.path.isdir(root):
            self._add_tree(root)
        while above != os.path.dirname(above):
            above = os.path.dirname(above)
            self._add(above, only_itself=True)

    def _add_tree(self, folder: str) -> None:
        """Watch a folder and those in it. The watch comes before the look inside, so nothing new slips through."""
        left = [folder]
        while left:
            place = left.pop()
            if self._add(place):
                left += self._folders_in(place)

    def _folders_in(self, folder: str) -> Iterator[str]:
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False) and not self._ignore(entry.path, True):
                    yield entry.path

    def _add(self, folder: str, *, only_itself: bool = False) -> bool:
        # what leads to a root may be a link; a folder in the tree may have become one
        leads = any(folder == root or _is_below(root, folder) for root in self._roots)
        watch = self._inotify.add(self, folder, only_itself=only_itself, follow=leads)
        former = self._watches.pop(folder, None)
        if former is not None and former != watch:
            self._inotify.remove(self, folder, former)
        if watch is not None:
            self._watches[folder] = watch
        return watch is not None

    def _forget(self, folder: str) -> None:
        for place in [place for place in self._watches if place == folder or _is_below(place, folder)]:
            self._inotify.remove(self, place, self._watches.pop(place))

    def _guard(self, action: Callable[[str], None], path: str) -> None:
        """Errors belong to who waits for the next batch, not to the event loop that calls us."""
        try:
            action(path)
        except (LoopError, OSError) as error:
            self._error = error


def _awaits_writer(path: str) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def _prefix(folder: str) -> str:
    """What the paths below a folder begin with."""
    return folder if folder.endswith("/") else f"{folder}/"


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(_prefix(folder))
