"""``loop restart``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from innerloop.cli import completing
from innerloop.cli.options import ProjectOptions, project_options

if TYPE_CHECKING:
    from innerloop.events import Emit


@click.command(short_help="restart a service's process")
@click.argument("service", shell_complete=completing.services)
@project_options
def command(options: ProjectOptions, service: str) -> None:
    """Restart the process of SERVICE in every developed container, without a new pod."""
    from innerloop.cli.options import load_project
    from innerloop.cli.running import run
    from innerloop.engine.connecting import connected
    from innerloop.engine.restarting import restart_service

    project = load_project(options)

    async def work(emit: Emit) -> None:
        async with connected(project, emit) as scope:
            await restart_service(project, service, scope)

    run(work)
