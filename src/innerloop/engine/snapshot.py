"""The present state of a session, kept by listening to its events."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from innerloop.events import (
    Event,
    Forwarding,
    ProcessState,
    SessionReady,
    StepDone,
    StepFailed,
    StepStarted,
    Synced,
    SyncProgress,
    SyncStream,
)
from innerloop.project import Project


class Snapshot(msgspec.Struct, kw_only=True):
    """What ``loop status`` asks a running session for. Subscribe it to the session's events."""

    project: str
    context: str
    namespace: str
    folder: str
    pid: int
    started: str
    """RFC 3339, UTC."""
    services: list[str] = []
    ready: bool = False
    running: dict[str, str] = {}
    """Steps under way: name to title."""
    failed: dict[str, str] = {}
    """Steps whose last run failed: name to cause."""
    forwards: dict[str, Forwarding] = {}
    streams: dict[str, SyncStream] = {}
    """State of the stream to each container, by ``service/pod/container`` as in all that follow."""
    sending: dict[str, SyncProgress] = {}
    """Batches under way that take their time."""
    syncs: dict[str, Synced] = {}
    """Last batch per container."""
    processes: dict[str, ProcessState] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case StepStarted():
                self.running[event.step] = event.title
                self.failed.pop(event.step, None)
            case StepDone():
                self.running.pop(event.step, None)
            case StepFailed():
                self.running.pop(event.step, None)
                self.failed[event.step] = event.message
            case Forwarding():
                self.forwards[f"{event.address}:{event.local}"] = event
            case SyncStream():
                self._take_stream(event)
            case SyncProgress():
                self.sending[_place(event)] = event
            case Synced():
                self.sending.pop(_place(event), None)
                self.syncs[_place(event)] = event
            case ProcessState():
                self.processes[_place(event)] = event
            case SessionReady():
                self.ready = True

    def _take_stream(self, event: SyncStream) -> None:
        place = _place(event)
        self.sending.pop(place, None)
        if event.state == "ended":
            # the container, or its development
            for known in (self.streams, self.syncs, self.processes):
                known.pop(place, None)
        else:
            self.streams[place] = event


def snapshot_of(project: Project, services: Iterable[str]) -> Snapshot:
    """The snapshot of a session of this process that just begins."""
    return Snapshot(
        project=project.name,
        context=project.context,
        namespace=project.namespace,
        folder=str(project.folder),
        pid=os.getpid(),
        started=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        services=list(services),
    )


def _place(event: SyncStream | SyncProgress | Synced | ProcessState) -> str:
    return f"{event.service}/{event.pod}/{event.container}"
