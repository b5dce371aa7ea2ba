"""``loop purge``."""

from __future__ import annotations

from functools import partial

import click

from innerloop.cli.options import ProjectOptions, output_option, project_options, take_over_option


@click.command(short_help="remove what the project deployed")
@take_over_option
@output_option
@project_options
def command(options: ProjectOptions, take_over: bool, output: str) -> None:
    """Remove exactly what the project and its dependencies deployed, and wait until it is gone."""
    from innerloop.cli.options import load_tree
    from innerloop.cli.running import run
    from innerloop.engine.deploying import purge

    run(lambda emit: purge(partial(load_tree, options), emit, take_over=take_over), output=output)
