"""Which paths are carried in which direction, by a target's sync paths."""

from __future__ import annotations

import os
from collections.abc import Sequence

from innerloop.dev.gitignore import Patterns
from innerloop.dev.ignoring import Ignore
from innerloop.dev.sync.covering import covered_paths, is_covered
from innerloop.dev.sync.local_tree import Key, SyncRoot
from innerloop.project import SyncPath


class Carrying:
    """Answers for one target. A path that is not carried to a side is neither written nor deleted there."""

    def __init__(self, paths: Sequence[SyncPath], roots: Sequence[SyncRoot]) -> None:
        self._roots = roots
        self._covered = covered_paths(roots)
        self._uploads = [path.direction != "download" for path in paths]
        self._downloads = [path.direction != "upload" for path in paths]
        self._kept_from_there = [_Excluded(path.exclude_upload) for path in paths]
        self._kept_from_here = [_Excluded(path.exclude_download) for path in paths]
        self._sends_all = all(self._uploads) and not any(path.exclude_upload for path in paths)
        self.rules: Sequence[Ignore] = ()
        """Of each root, what does not count; they change when an ignore file does."""

    def sends(self, key: Key, folder: bool) -> bool:
        """Whether this machine's changes of a path that counts are carried."""
        if self._sends_all:
            return True
        return self._uploads[key.root] and not self._kept_from_there[key.root](key.path, folder)

    def takes(self, key: Key, folder: bool) -> bool:
        """Whether the container's changes of a path are carried."""
        return (
            self._downloads[key.root]
            and self.counts(key, folder)
            and not self._kept_from_here[key.root](key.path, folder)
        )

    def counts(self, key: Key, folder: bool) -> bool:
        """Whether a path takes part at all."""
        only = self._roots[key.root].only
        if only:
            return key.path == only and not folder
        if not key.path:
            return True
        path = os.fsdecode(key.path)
        return not is_covered(path, self._covered[key.root]) and not self.rules[key.root].ignores(path, folder)

    def takes_root(self, root: int) -> bool:
        return self._downloads[root]

    @property
    def taken_roots(self) -> list[int]:
        return [number for number, taken in enumerate(self._downloads) if taken]

    def learn(self, folder: Key, ignore_file: bytes) -> None:
        """Take in an ignore file that only a container has."""
        self.rules[folder.root].learn(os.fsdecode(folder.path), ignore_file)


class _Excluded:
    """Patterns in the grammar of .gitignore: below a folder that is left out, nothing counts."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._patterns = Patterns(map(os.fsencode, lines))
        self._says_nothing = not lines
        self._folders = {b"": False}

    def __call__(self, path: bytes, folder: bool) -> bool:
        if self._says_nothing or not path:
            return False
        return self._folder(path) if folder else self._judge(path, False)

    def _folder(self, path: bytes) -> bool:
        known = self._folders.get(path)
        if known is None:
            known = self._folders[path] = self._judge(path, True)
        return known

    def _judge(self, path: bytes, folder: bool) -> bool:
        return self._folder(path.rpartition(b"/")[0]) or bool(self._patterns.check(path, folder))
