"""Who carries connections into a container is told when the process that had them was replaced.

The end of a process ends its connections, but runtimes pass that on late: containerd (1.6-2.x) waits a second for the
other direction to end too.
"""

from __future__ import annotations

import asyncio

from innerloop.events import Event, ProcessState


class Restarts:
    """Subscriber to a session's events."""

    def __init__(self) -> None:
        self._ending: set[tuple[str, str]] = set()
        self._replaced: dict[tuple[str, str], asyncio.Event] = {}

    def __call__(self, event: Event) -> None:
        if not isinstance(event, ProcessState):
            return
        place = event.service, event.pod
        if event.state == "restarting":
            self._ending.add(place)
        elif place in self._ending:
            # the helper starts a process only when nothing is left of the one before
            self._ending.remove(place)
            self._replaced.pop(place, asyncio.Event()).set()

    def replacement(self, service: str, pod: str) -> asyncio.Event:
        """Set when the process that a dev target has in a pod now was replaced by another."""
        return self._replaced.setdefault((service, pod), asyncio.Event())
