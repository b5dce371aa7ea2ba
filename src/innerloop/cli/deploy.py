"""``loop deploy``."""

from __future__ import annotations

from functools import partial

import click

from innerloop.cli.options import ProjectOptions, force_option, output_option, project_options, take_over_option


@click.command(short_help="render, build, apply and wait until ready")
@take_over_option
@force_option
@output_option
@project_options
def command(options: ProjectOptions, take_over: bool, force: bool, output: str) -> None:
    """Render, build what changed, apply, and wait until all is ready; dependencies first."""
    from innerloop.cli.options import load_tree
    from innerloop.cli.running import run
    from innerloop.engine.deploying import deploy

    load = partial(load_tree, options)
    run(lambda emit: deploy(load, emit, take_over=take_over, force=force), output=output)
