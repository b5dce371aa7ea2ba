"""What became of what was sent to one container."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

from innerloop.dev.sync.batch import Batch
from innerloop.dev.sync.local_tree import FOLDER, Entry, Key, LocalTree, above
from innerloop.dev.sync.protocol import Failed, Reason
from innerloop.dev.sync.taking import Taking

WRITER_SECONDS = 2.0
"""How long a file is left to who writes it before it is sent as it is: some are never closed."""
_WRITER_RETRY_SECONDS = 0.05
_LASTING = (Reason.PERMISSION, Reason.READ_ONLY, Reason.NO_SPACE)
"""Failures that no other file's change mends."""

Done = dict[Key, Entry | None]
"""What the container has of what was sent, None for what is gone."""


class Delivered:
    """Keeps what a container has, and sees to it that what it could not take is tried again."""

    def __init__(
        self, tree: LocalTree, remote: dict[Key, Entry], taking: Taking, mark: Callable[[Collection[Key], float], None]
    ) -> None:
        """``remote`` is what the container is known to have. ``mark`` is called with what has to be sent again."""
        self.failures: dict[Key, Failed] = {}
        """What could not be done, and still can't be."""
        self.obstructed: set[Key] = set()
        """What failed for something that is in its way, and may go with the next change."""
        self.not_renamed: set[Key] = set()
        """What has to be sent, since the container's file of the former name is another one."""
        self.is_repeated = False
        """Something of the last batch is sent with the next one in another way."""
        self._tree = tree
        self._remote = remote
        self._taking = taking
        self._mark = mark
        self._unfinished: dict[Key, float] = {}
        """What is being written, and since when."""
        self._unacknowledged: set[Key] = set()

    def begin(self, batch: Batch) -> set[Key]:
        """A batch is on its way. Returns what a broken stream may have brought before: what follows that is still to
        be done."""
        former = set(self._unacknowledged)
        self._unacknowledged |= batch.keys()
        self._taking.expect(batch.wanted)
        return former

    def settle(self, batch: Batch, done: Done, failed: Sequence[Failed], since: float) -> list[Failed]:
        """The batch was answered: take out of ``done`` what failed, note the rest; returns the failures that are
        news."""
        self._taking.expect({})
        self._unacknowledged.clear()
        sources = {new: old for old, new in batch.renames}
        self.is_repeated = any(Key(one.root, one.path) in sources for one in failed)
        news = [failure for failure in failed if self._fail(failure, batch, done, sources, since)]
        self._note(done)
        if any(entry is None for entry in done.values()):
            # there may be room now for what there was none for
            self._mark([key for key, failure in self.failures.items() if failure.reason == Reason.NO_SPACE], since)
        return news

    def impatient(self) -> set[Key]:
        """Files that are sent although they are being written."""
        now = asyncio.get_running_loop().time()
        return {key for key, since in self._unfinished.items() if now - since >= WRITER_SECONDS}

    def leave_to_writers(self, keys: Collection[Key], since: float) -> None:
        """Try again soon: nothing tells when a file is closed that was looked at for another reason."""
        loop = asyncio.get_running_loop()
        for key in keys:
            self._unfinished.setdefault(key, loop.time())
        if keys:
            loop.call_later(_WRITER_RETRY_SECONDS, self._mark, keys, since)

    def _fail(self, failure: Failed, batch: Batch, done: Done, sources: Mapping[Key, Key], since: float) -> bool:
        """Returns whether that has to be told."""
        key = Key(failure.root, failure.path)
        source = sources.get(key, key)
        is_guarded, is_news = key in batch.guards, False
        if is_guarded and self._is_unseen(key, source, failure):
            done.pop(key, None)
            done.pop(source, None)
            return False
        if key in sources:
            # the container's file is another one: send ours
            self.not_renamed.add(key)
            self._mark({key, source, *above(source)}, since)
            done.pop(source, None)
        elif done.get(key, FOLDER) is None and failure.reason == Reason.NOT_EMPTY:
            # what is left in the folder is not ours to delete
            if is_guarded:
                done.pop(key, None)
            return False
        else:
            is_news = self.failures.get(key) != failure
            self.failures[key] = failure
        done.pop(key, None)
        if not is_guarded:
            self._remote.pop(key, None)
        if failure.reason not in _LASTING:
            self.obstructed.add(key)
        return is_news

    def _is_unseen(self, key: Key, source: Key, failure: Failed) -> bool:
        """Whether the container has something that is to be merged first; ``source`` is another one of a rename."""
        if failure.reason == Reason.CHANGED:
            self._taking.dispute([key, source])
            return True
        if failure.reason in _LASTING or key not in self._tree.entries or key in self.obstructed:
            return False
        # something above it or in it is in the way, and may be news; the rename's source is still there
        self.obstructed.update((key, source))
        self._taking.mark([key, *(folder for folder in above(key) if folder.path)])
        return True

    def _note(self, done: Done) -> None:
        for key, entry in done.items():
            self._unfinished.pop(key, None)
            self.failures.pop(key, None)
            self.obstructed.discard(key)
            self.not_renamed.discard(key)
            if entry:
                self._remote[key] = entry
            else:
                self._remote.pop(key, None)
