"""What runs as long as a session lives: sync, forward, logs of each developed service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from innerloop.errors import LoopError
from innerloop.events import Emit, Notice


class Service(NamedTuple):
    name: str
    """Unique in the session, e.g. ``sync/web``."""
    spec: object
    """What it was made from; a running service goes on as long as this is equal."""
    run: Callable[[], Awaitable[None]]
    """Runs until cancelled; its end or failure is told and ends nothing else."""


class Services:
    """The running services, owned by a task group: they end with it."""

    def __init__(self, group: asyncio.TaskGroup, emit: Emit) -> None:
        self._group = group
        self._emit = emit
        self._running: dict[str, tuple[object, asyncio.Task[None]]] = {}

    def reconcile(self, wanted: Iterable[Service]) -> set[str]:
        """Start what is new, end what is no longer wanted, start anew what changed or had ended.

        Returns the names of those that simply went on.
        """
        kept = set()
        services = {service.name: service for service in wanted}
        for name in [name for name in self._running if name not in services]:
            self._running.pop(name)[1].cancel()
        for name, service in services.items():
            former = self._running.get(name)
            if former and former[0] == service.spec and not former[1].done():
                kept.add(name)
                continue
            task = self._group.create_task(self._live(service, former[1] if former else None), name=name)
            self._running[name] = (service.spec, task)
        return kept

    def end(self) -> None:
        """End them all."""
        self.reconcile(())

    async def _live(self, service: Service, former: asyncio.Task[None] | None) -> None:
        if former is not None:
            # it holds what this one needs: a port, an exec stream
            former.cancel()
            await asyncio.wait([former])
        try:
            await service.run()
        except LoopError as error:
            self._tell(service, error)

    def _tell(self, service: Service, error: LoopError) -> None:
        """Once: what one service needs of another fails with it."""
        if not error.told:
            error.told = True
            message = f"{service.name}: {error}"
            self._emit(Notice(level="error", message=message, detail=error.detail or "", hint=error.hint or ""))
