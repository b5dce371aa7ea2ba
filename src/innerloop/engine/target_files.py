"""The files of a session's dev targets: looked at from its start on, so they are known when containers ask for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from innerloop.dev.sync.local_files import LocalFiles
from innerloop.engine.services import Service, Services
from innerloop.events import Emit
from innerloop.project import DevTarget


class TargetFiles:
    """Those that are kept current, owned by a task group."""

    def __init__(self, group: asyncio.TaskGroup, emit: Emit) -> None:
        self._services = Services(group, emit)
        self._files: dict[str, tuple[object, LocalFiles]] = {}

    def begin(self, targets: Iterable[DevTarget], make: Callable[[DevTarget], LocalFiles]) -> None:
        """Look at what there is. What a hook or a build has yet to make is looked at when it is needed."""
        self.keep([one for one in targets if all(path.local.exists() for path in one.sync)], make)

    def keep(self, targets: Iterable[DevTarget], make: Callable[[DevTarget], LocalFiles]) -> dict[str, LocalFiles]:
        """The files of these targets, by name: what runs goes on, unless what it was made from has changed."""
        former, self._files = self._files, {}
        for target in targets:
            made_from = (target.sync, target.rebuild)
            spec, files = former.get(target.name, (None, None))
            if files is None or spec != made_from or files.has_failed:
                files = make(target)
            self._files[target.name] = made_from, files
        kept = {name: files for name, (_, files) in self._files.items()}
        self._services.reconcile(Service(f"files/{name}", files, files.run) for name, files in kept.items())
        return kept
