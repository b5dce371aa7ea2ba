"""Commands in containers with this terminal attached: what ``enter`` and ``exec`` share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from innerloop.cli.main import show_error
from innerloop.cli.options import ProjectOptions, load_project
from innerloop.cli.running import run
from innerloop.dev.terminal import enter
from innerloop.engine.connecting import connected
from innerloop.engine.deployed import only, pick, running_pod, service_workloads
from innerloop.kube.failures import CommandNotStarted

if TYPE_CHECKING:
    from innerloop.events import Emit


def run_in_container(options: ProjectOptions, service: str | None, container: str, command: tuple[str, ...]) -> int:
    """Run ``command`` (a shell where it is empty) in a running container of a service; returns its exit status.

    One that cannot be started is told, and has the status that a shell would give: 126 or 127.
    """
    project = load_project(options)

    async def work(emit: Emit) -> int:
        async with connected(project, emit) as scope:
            found = await service_workloads(scope.client, project)
            workload = pick(found, service)[0] if service else only(found)
            # the dev overlay tells on each pod which container is developed; pods of others have none
            wanted = container or (workload.foreign and project.dev[workload.targets[0]].container) or ""
            pod, name = await running_pod(scope.client, workload, wanted, target=service or "")
            return await enter(scope.client, workload.key.namespace, pod, name, command)

    try:
        return run(work, stream=sys.stderr)
    except CommandNotStarted as error:
        # what a shell, ssh and docker would return
        show_error(error)
        return error.exit_code
