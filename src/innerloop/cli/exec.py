"""``loop exec``."""

from __future__ import annotations

import click

from innerloop.cli import completing
from innerloop.cli.options import ProjectOptions, project_options


@click.command(
    short_help="run a command in a service's container",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option("-c", "--container", default="", metavar="NAME", help="another container than the developed one")
@project_options
@click.argument("service", shell_complete=completing.services)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND [ARGUMENT]…")
def command(options: ProjectOptions, service: str, words: tuple[str, ...], container: str) -> int:
    """Run COMMAND in a container of SERVICE; its exit code is this command's.

    Options of loop stand before SERVICE; all that follows it belongs to COMMAND.
    """
    from innerloop.cli.terminals import run_in_container

    # kubectl wants a -- before the command, so people write it
    words = words[1:] if words[0] == "--" else words
    if not words or words[0].startswith("-"):
        raise click.UsageError("SERVICE is to be followed by a command; options of loop stand before SERVICE")
    return run_in_container(options, service, container, words)
