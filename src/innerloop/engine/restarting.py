"""Restarting the processes of a developed service."""

from __future__ import annotations

from innerloop.dev.restarting import restart
from innerloop.engine.deployed import pick, service_workloads
from innerloop.engine.scope import Scope
from innerloop.errors import LoopError
from innerloop.events import Notice
from innerloop.project import Project


async def restart_service(project: Project, service: str, scope: Scope) -> None:
    """Restart the process in every container of a dev target; tells which. Raises LoopError where it can't be."""
    found = pick(await service_workloads(scope.client, project), service)
    if any(workload.foreign for workload in found):
        raise LoopError(
            f"{service} is in pods that were not set up for development: nothing in them can restart the process",
            hint=f"who deployed them can have them made anew; they have the labels {found[0].selector}",
        )
    if not any(workload.targets for workload in found):
        key = found[0].key
        anew = f"kubectl rollout restart {key.kind.lower()} {key.name} -n {key.namespace}"
        raise LoopError(
            f"{service} is not developed: nothing in its containers can restart the process",
            hint=f"loop dev sets up what dev: names in loop.yaml; to have its pods made anew: {anew}",
        )
    for workload in found:
        target = service if service in workload.targets else next(iter(workload.targets), service)
        restarted = await restart(scope.client, target, namespace=workload.key.namespace, selector=workload.selector)
        for one in restarted:
            scope.emit(Notice(level="info", message=f"restarted {target} in {one.pod}"))
