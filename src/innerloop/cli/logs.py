"""``loop logs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from innerloop.cli import completing
from innerloop.cli.options import ProjectOptions, output_option, project_options

if TYPE_CHECKING:
    from innerloop.events import Emit


@click.command(short_help="the logs of the project's services")
@click.argument("services", nargs=-1, metavar="[SERVICE]…", shell_complete=completing.services)
@click.option("--follow/--no-follow", default=True, help="go on with what is written from now on (the default)")
@click.option("--tail", type=click.IntRange(min=0), metavar="LINES", help="only the last lines of each container")
@output_option
@project_options
def command(options: ProjectOptions, services: tuple[str, ...], follow: bool, tail: int | None, output: str) -> None:
    """Show the merged logs of each SERVICE (all by default)."""
    from innerloop.cli.options import load_project
    from innerloop.cli.running import run
    from innerloop.engine.connecting import connected
    from innerloop.engine.reading_logs import read_logs

    project = load_project(options)

    async def work(emit: Emit) -> None:
        async with connected(project, emit) as scope:
            await read_logs(project, services, scope, follow=follow, tail=tail)

    run(work, output=output)
