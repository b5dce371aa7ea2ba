"""``loop enter``."""

from __future__ import annotations

import click

from innerloop.cli import completing
from innerloop.cli.options import ProjectOptions, project_options


@click.command(short_help="open a terminal in a service's container")
@click.argument("service", required=False, shell_complete=completing.services)
@click.option("-c", "--container", default="", metavar="NAME", help="another container than the developed one")
@project_options
def command(options: ProjectOptions, service: str | None, container: str) -> int:
    """Open a shell in a container of SERVICE; without a name, of the only one there is."""
    from innerloop.cli.terminals import run_in_container

    return run_in_container(options, service, container, ())
