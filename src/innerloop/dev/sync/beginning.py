"""The first comparison of a session, which the configured strategy decides; shared by a target's containers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from innerloop import paths
from innerloop.dev.sync.local_tree import Entry, Key
from innerloop.dev.sync.merging import Decision, begin, same
from innerloop.project import Strategy, SyncPath

REPLACED = "replaced"
"""Folder in the project's state folder for what a first comparison replaced or deleted on this machine."""


class Beginning:
    """The first container is compared by the strategy, those after it start from their image: there, this machine
    wins. ``mirrorLocal`` holds for all of them, since the image's own files are what it is to remove."""

    def __init__(self, sync: Sequence[SyncPath], project: Path) -> None:
        self.turn = asyncio.Lock()
        """Held by the container that is compared, until the first is done."""
        self.over = False
        self.apart: dict[Key, Entry] = {}
        """Paths that stay different, with what was here then: until it changes, it is not sent."""
        self._strategies = [path.initial for path in sync]
        self._only_containers = all(path.direction == "upload" and path.initial == "preferLocal" for path in sync)
        self._project = project
        self._kept: Path | None = None

    def strategy(self, root: int) -> Strategy:
        chosen = self._strategies[root]
        return "preferLocal" if self.over and chosen != "mirrorLocal" else chosen

    @property
    def concerns_only_containers(self) -> bool:
        """Whether one container's comparison means nothing to the others: they need not wait for each other."""
        return self._only_containers

    def decide(
        self, key: Key, local: Entry | None, remote: Entry | None, *, lacking: bool, newer_there: bool
    ) -> Decision:
        """For a path on which the container and this machine have not agreed yet.

        ``lacking``: the container did not even have the root; that is no reason to delete anything here.
        """
        if self.over and local and remote and self.is_apart(key, local):
            return Decision.AGREED if same(local, remote) else Decision.APART
        strategy = self.strategy(key.root)
        if lacking and strategy == "mirrorRemote":
            strategy = "preferRemote"
        return begin(strategy, local, remote, newer_there=newer_there)

    def is_apart(self, key: Key, local: Entry | None) -> bool:
        """Whether a path still stays different; not from its first change here on."""
        apart = self.apart.get(key)
        if apart and not same(apart, local):
            del self.apart[key]
            return False
        return apart is not None

    def keep_at(self, place: Path) -> Path:
        """Where to keep what is at a path here. Raises LoopError when there can be no such place."""
        if self._kept is None:
            self._kept = paths.project_state(self._project) / REPLACED / time.strftime("%Y%m%d-%H%M%S")
        inside = place.is_relative_to(self._project)
        return self._kept / (place.relative_to(self._project) if inside else place.relative_to(place.anchor))

    @property
    def kept(self) -> Path | None:
        """Where something was kept, if anything was."""
        return self._kept
