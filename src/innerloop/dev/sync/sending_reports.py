"""What is told of the way to a container."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from innerloop.dev.pods import PodContainer
from innerloop.dev.sync.batch import Batch
from innerloop.dev.sync.delivered import Done
from innerloop.dev.sync.failures import clash_notice, notices
from innerloop.dev.sync.local_tree import FOLDER, Key, SyncRoot
from innerloop.dev.sync.names import shown
from innerloop.dev.sync.protocol import Failed
from innerloop.dev.sync.sending import Progress
from innerloop.events import Emit, Synced, SyncProgress

_SHOWN_PATHS = 5


class SendingReports:
    """The events of one container."""

    def __init__(self, service: str, container: PodContainer, roots: Iterable[SyncRoot], emit: Emit) -> None:
        self.uid = 0
        """The container's user, which may not be allowed to write."""
        self._service = service
        self._container = container
        self._roots = tuple(roots)
        self._emit = emit

    def batch(self, batch: Batch, done: Done, since: float, *, initial: bool, action: str) -> None:
        """What arrived there; ``action`` tells what follows."""
        if not done and not initial:
            return
        renamed = {old for old, _ in batch.renames}
        new = [entry for entry in done.values() if entry and entry.kind != FOLDER]
        contents = set(batch.contents)
        self._emit(
            Synced(
                service=self._service,
                pod=self._container.pod,
                container=self._container.container,
                files=len(new),
                deleted=sum(entry is None and key not in renamed for key, entry in done.items()),
                bytes=sum(entry.size for key, entry in done.items() if entry and key in contents),
                seconds=asyncio.get_running_loop().time() - since,
                initial=initial,
                action=action,
                paths=tuple(shown(key.path) for key in [key for key in done if key.path][:_SHOWN_PATHS]),
            )
        )

    def progress(self, progress: Progress) -> None:
        container = self._container
        self._emit(
            SyncProgress(service=self._service, pod=container.pod, container=container.container, **progress._asdict())
        )

    def failures(self, failures: Iterable[Failed]) -> None:
        for notice in notices(failures, self._roots, self._container, self._service, self.uid):
            self._emit(notice)

    def clash(self, lost: Key, kept: Key) -> None:
        self._emit(clash_notice(lost, kept, self._roots, self._container, self._service))

    def problems(self, failures: Iterable[Failed]) -> list[str]:
        """The same as text."""
        told = notices(failures, self._roots, self._container, self._service, self.uid)
        return [notice.message for notice in told]
