"""Everything that a user can see, as data.

Features report by calling an ``Emit``; terminal, ``-o json`` and log files subscribe. Nothing below the user
interface prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from innerloop.errors import LoopError


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of all events; in JSON the field ``event`` tells which one it is."""


class StepStarted(Event, frozen=True, kw_only=True, tag="step-started"):
    """Work began. ``step`` identifies it within the session, e.g. ``build/web`` or ``ready/Deployment/web``."""

    step: str
    title: str
    """For people: ``build web``."""


class StepProgress(Event, frozen=True, kw_only=True, tag="step-progress"):
    """What the step is doing or waiting for, and why; replaces the step's former progress."""

    step: str
    message: str


class StepOutput(Event, frozen=True, kw_only=True, tag="step-output"):
    """A line of a program that the step runs (a build, a hook)."""

    step: str
    text: str


class StepDone(Event, frozen=True, kw_only=True, tag="step-done"):
    step: str
    title: str
    seconds: float
    summary: str = ""
    """What came of it: ``unchanged``, ``5 objects, 1 changed``."""


class StepFailed(Event, frozen=True, kw_only=True, tag="step-failed"):
    step: str
    title: str
    seconds: float
    message: str
    detail: str = ""
    hint: str = ""


class LogLine(Event, frozen=True, kw_only=True, tag="log"):
    """A line that a container wrote."""

    service: str
    pod: str
    container: str
    text: str
    time: str = ""
    """RFC 3339, by the node's clock; empty when the line did not come with one."""


class Forwarding(Event, frozen=True, kw_only=True, tag="forward"):
    """State of one forwarded port; ``local`` is bound on ``address`` for as long as the session lives."""

    service: str
    address: str
    local: int
    remote: int
    state: Literal["up", "waiting", "failed"]
    pod: str = ""
    message: str = ""


class Synced(Event, frozen=True, kw_only=True, tag="sync"):
    """One batch arrived in one container, or came from one."""

    service: str
    pod: str
    container: str
    direction: Literal["up", "down"] = "up"
    """``down``: changes of the container, which arrived here."""
    files: int
    deleted: int
    bytes: int
    seconds: float
    """From the save (or the start of the comparison) to the acknowledgement."""
    initial: bool = False
    action: str = ""
    """What follows: ``restart``, ``actions`` (told as steps), both, empty for nothing."""
    paths: tuple[str, ...] = ()
    """The first few changed paths, relative to the sync root."""


class SyncStream(Event, frozen=True, kw_only=True, tag="sync-stream"):
    """State of the stream to one container; ``ended``: nothing is synced to that container any more."""

    service: str
    pod: str
    container: str
    state: Literal["connecting", "comparing", "in sync", "interrupted", "ended"]
    message: str = ""
    """Why it is interrupted."""
    detail: str = ""
    hint: str = ""


class SyncProgress(Event, frozen=True, kw_only=True, tag="sync-progress"):
    """How much of a batch that takes its time was sent to one container; ``Synced`` or ``SyncStream`` follow."""

    service: str
    pod: str
    container: str
    files: int
    """Paths that were sent: files, folders, deletions."""
    all_files: int
    bytes: int
    all_bytes: int


class ProcessState(Event, frozen=True, kw_only=True, tag="process"):
    """The developed process in a container started, ended or was restarted."""

    service: str
    pod: str
    container: str
    state: Literal["running", "exited", "restarting"]
    message: str = ""


class Notice(Event, frozen=True, kw_only=True, tag="notice"):
    level: Literal["info", "warning", "error"]
    message: str
    detail: str = ""
    hint: str = ""


class SessionReady(Event, frozen=True, kw_only=True, tag="ready"):
    """All deployed, ready and in sync: from here on a save is live."""

    project: str
    context: str
    namespace: str
    seconds: float
    urls: tuple[str, ...] = ()


class Promoted(Event, frozen=True, kw_only=True, tag="promoted"):
    """What came of a promotion, or of a rollback."""

    project: str
    environment: str
    state: Literal["unchanged", "proposed", "already proposed"]
    """``unchanged``: the environment's branch has it, nothing is proposed. ``already proposed``: nothing was pushed."""
    base: str
    """Branch that the agent follows."""
    branch: str
    """Branch that is proposed."""
    commit: str
    """In the GitOps repository: what is proposed, else what ``base`` has."""
    number: int = 0
    """Of the pull request, 0 where there is none."""
    url: str = ""
    """Of the pull request; on a host that makes none, where a person can; empty where that is not known."""
    changes: str = ""
    """For people: ``1 added, 2 changed``."""


class SessionEnded(Event, frozen=True, kw_only=True, tag="ended"):
    project: str
    reason: str


Emit = Callable[[Event], None]
"""How features report: synchronous, never blocks, never raises."""


class Outcome:
    """What a step reports at its end; the body of ``reported`` may set it."""

    def __init__(self) -> None:
        self.summary = ""


@contextmanager
def reported(emit: Emit, step: str, title: str) -> Iterator[Outcome]:
    """Report the body as one step: started, then done with its duration, or failed with its cause."""
    outcome = Outcome()
    started = time.monotonic()
    emit(StepStarted(step=step, title=title))
    try:
        yield outcome
    except LoopError as error:
        error.told = True
        emit(
            StepFailed(
                step=step,
                title=title,
                seconds=time.monotonic() - started,
                message=str(error),
                detail=error.detail or "",
                hint=error.hint or "",
            )
        )
        raise
    emit(StepDone(step=step, title=title, seconds=time.monotonic() - started, summary=outcome.summary))
