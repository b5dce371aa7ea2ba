"""``loop exec``."""

from __future__ import annotations

import click

from innerloop.cli.options import ProjectOptions, project_options


@click.command(short_help="run a command in a service's container", context_settings={"ignore_unknown_options": True})
@click.option("-c", "--container", default="", metavar="NAME", help="another container than the developed one")
@project_options
@click.argument("service")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND [ARGUMENT]…")
def command(options: ProjectOptions, service: str, words: tuple[str, ...], container: str) -> int:
    """Run COMMAND in a container of SERVICE; its exit code is this command's."""
    from innerloop.cli.terminals import run_in_container

    return run_in_container(options, service, container, words)
