"""What is told of the way back from a container."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Literal

from innerloop.dev.pods import PodContainer
from innerloop.dev.sync.downloading import Outcome
from innerloop.dev.sync.local_tree import FOLDER, Key, LocalTree
from innerloop.dev.sync.merging import Decision
from innerloop.dev.sync.remote_tree import SPECIAL, Seen
from innerloop.events import Emit, Notice, Synced

_SHOWN = 3
_SHOWN_PATHS = 5


class Reports:
    """The notices and batches of one container; the same trouble is told once, until it is over."""

    def __init__(self, service: str, container: PodContainer, tree: LocalTree, emit: Emit) -> None:
        self._service = service
        self._container = container
        self._tree = tree
        self._emit = emit
        self._told: set[tuple[Key, str]] = set()
        self._told_unwatched = False

    def batch(self, outcomes: Sequence[Outcome], since: float) -> None:
        """What arrived here."""
        done = [one for one in outcomes if not (one.again or one.stays or one.error)]
        new = [one.entry for one in done if one.entry and one.entry.kind != FOLDER]
        if not done:
            return
        self._emit(
            Synced(
                service=self._service,
                pod=self._container.pod,
                container=self._container.container,
                direction="down",
                files=len(new),
                deleted=sum(one.entry is None for one in done),
                bytes=sum(one.entry.size for one in done if one.entry and one.step.decision == Decision.DOWNLOAD),
                seconds=asyncio.get_running_loop().time() - since,
                paths=tuple(os.fsdecode(one.step.key.path) for one in done[:_SHOWN_PATHS]),
            )
        )

    def conflicts(self, outcomes: Iterable[Outcome]) -> None:
        """Name what was kept, and what was kept beside."""
        for one in outcomes:
            if one.copy:
                place = self._tree.place(one.step.key)
                self._notice(
                    "warning",
                    f"{place} was changed both here and in {self._where}",
                    detail=f"what was here is kept, the container's is in {one.copy}",
                    hint="take over what you need of it, then delete it",
                )

    def failures(self, outcomes: Iterable[Outcome]) -> None:
        """Tell what could not be written here."""
        groups: dict[str, list[Key]] = {}
        for one in outcomes:
            if one.error:
                why = one.error.strerror or str(one.error)
                if (one.step.key, why) not in self._told:
                    self._told.add((one.step.key, why))
                    groups.setdefault(why, []).append(one.step.key)
            elif not one.again:
                self._told = {told for told in self._told if told[0] != one.step.key} if self._told else self._told
        for why, keys in groups.items():
            self._notice(
                "error",
                f"not taken from {self._where}: {self._names(self._tree.place(key) for key in keys)}: {why}",
                hint=_mend(why),
            )

    def seen(self, seen: Seen, known: Container[Key]) -> None:
        """Tell what sync leaves alone in the container, and what it cannot watch there."""
        groups: dict[str, list[Key]] = {}
        for key, why in seen.unknown.items():
            is_news = (key, why) not in self._told
            # sockets and the like are no business of ours, unless they are in the way
            if is_news and (why != SPECIAL or key in known):
                self._told.add((key, why))
                groups.setdefault(why, []).append(key)
        for why, keys in groups.items():
            self._notice("warning", f"left alone in {self._where}: {self._there(keys)}: {why}")
        if seen.unwatched and not self._told_unwatched:
            self._told_unwatched = True
            self._notice(
                "error",
                f"changes in {self._there(seen.unwatched)} in {self._where} are not noticed: the node allows no more"
                " watches",
                hint="raise fs.inotify.max_user_watches on the node (sysctl), or leave folders out (excludeDownload)",
            )

    def root_gone(self, root: int) -> None:
        remote = self._tree.roots[root].remote
        self._notice("warning", f"{remote} is gone in {self._where}; what is here stays")

    def kept(self, place: Path, count: int) -> None:
        """Tell where to find what a first comparison replaced."""
        self._notice(
            "warning",
            f"{count} path{'s' * (count != 1)} here gave way to what {self._where} has",
            detail=f"what was here is kept in {place}",
        )

    @property
    def _where(self) -> str:
        return f"{self._container.pod}/{self._container.container}"

    def _there(self, keys: Iterable[Key]) -> str:
        return self._names(
            f"{self._tree.roots[key.root].remote.rstrip('/')}/{os.fsdecode(key.path)}" for key in sorted(keys)
        )

    def _names(self, places: Iterable[object]) -> str:
        names = [str(place) for place in places]
        return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")

    def _notice(
        self, level: Literal["info", "warning", "error"], message: str, detail: str = "", hint: str = ""
    ) -> None:
        self._emit(Notice(level=level, message=f"{self._service}: {message}", detail=detail, hint=hint))


def _mend(why: str) -> str:
    if why in (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT)):
        return "free some space; it is tried again with the next change"
    if why in (os.strerror(errno.EACCES), os.strerror(errno.EPERM), os.strerror(errno.EROFS)):
        return "give yourself the right to write there; it is tried again with the next change"
    return "it is tried again with the next change"
