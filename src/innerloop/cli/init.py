"""``loop init``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

if TYPE_CHECKING:
    from innerloop.gitops.pipelines.writing import System


@click.command(short_help="write pipelines for a CI system")
@click.option("--ci", "system", type=click.Choice(["github", "azure", "gitlab"]), help="the CI system")
@click.option("--force", is_flag=True, help="replace files that are there already")
@click.option("-f", "--file", type=click.Path(path_type=Path), help="loop.yaml, or its folder; found upwards otherwise")
def command(system: str | None, force: bool, file: Path | None) -> None:
    """Write the pipelines of pull requests, of the main branch and of promotions, for the environments of loop.yaml.

    They do nothing but call loop.
    """
    if system is None:
        raise click.UsageError(
            "Say for which CI system: --ci github, azure or gitlab. (Writing a loop.yaml is not there yet: the smallest"
            " useful one is in docs/configuration.md.)"
        )
    from innerloop.cli.options import ProjectOptions, load_project
    from innerloop.cli.running import run
    from innerloop.config.files import shown
    from innerloop.gitops.pipelines.writing import write_pipelines

    project = load_project(ProjectOptions(file=file))
    chosen = cast("System", system)
    for written in run(lambda emit: write_pipelines(project, chosen, force=force)):
        click.echo(f"written: {shown(written)}")
