"""The present state of a session, kept by listening to its events."""

from __future__ import annotations

import msgspec

from innerloop.events import Event, Forwarding, ProcessState, SessionReady, StepDone, StepFailed, StepStarted, Synced


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
            case Synced():
                self.syncs[f"{event.service}/{event.pod}/{event.container}"] = event
            case ProcessState():
                self.processes[f"{event.service}/{event.pod}/{event.container}"] = event
            case SessionReady():
                self.ready = True
