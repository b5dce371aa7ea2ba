"""``loop forward``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from innerloop.cli import completing
from innerloop.cli.options import ProjectOptions, output_option, project_options

if TYPE_CHECKING:
    from innerloop.events import Emit


@click.command(short_help="forward a service's ports to this machine")
@click.argument("service", shell_complete=completing.services)
@click.argument("ports", nargs=-1, metavar="[LOCAL:REMOTE]…")
@output_option
@project_options
def command(options: ProjectOptions, service: str, ports: tuple[str, ...], output: str) -> None:
    """Forward ports of SERVICE until ^C: those named, else those of its dev target in loop.yaml."""
    from innerloop.cli.options import load_project
    from innerloop.cli.running import run
    from innerloop.config.ports import parse_forward
    from innerloop.dev.forwarding import forward
    from innerloop.engine.connecting import connected
    from innerloop.engine.deployed import pick, service_workloads

    project = load_project(options)

    async def work(emit: Emit) -> None:
        given = [parse_forward(text) for text in ports]
        async with connected(project, emit) as scope:
            found = await service_workloads(scope.client, project)
            workload = pick(found, service)[0]
            wanted = given or (project.dev[service].ports if service in project.dev else [])
            if not wanted:
                message = f"{service} has no ports in loop.yaml; name them: loop forward {service} 8080:80"
                raise click.UsageError(message)
            await forward(
                scope.client,
                service=service,
                namespace=workload.key.namespace,
                selector=workload.selector,
                ports=wanted,
                emit=emit,
            )

    run(work, output=output)
