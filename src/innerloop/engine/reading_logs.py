"""The merged logs of what is deployed."""

from __future__ import annotations

import asyncio

from innerloop.dev.following import follow_logs, show_logs
from innerloop.engine.deployed import pick, service_workloads
from innerloop.engine.scope import Scope
from innerloop.errors import single_failure
from innerloop.project import Project


async def read_logs(
    project: Project, services: tuple[str, ...], scope: Scope, *, follow: bool, tail: int | None
) -> None:
    """Emit the log lines of the services (all where none is named); with ``follow`` until cancelled."""
    found = await service_workloads(scope.client, project)
    if services:
        found = list(dict.fromkeys(one for service in services for one in pick(found, service)))
    read = follow_logs if follow else show_logs
    try:
        async with asyncio.TaskGroup() as group:
            for one in found:
                work = read(
                    scope.client,
                    service=one.service,
                    namespace=one.key.namespace,
                    selector=one.selector,
                    emit=scope.emit,
                    tail=tail,
                )
                group.create_task(work, name=f"logs {one.service}")
    except BaseExceptionGroup as failures:
        raise single_failure(failures) from None
