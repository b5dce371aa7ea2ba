"""``loop promote``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from innerloop.cli import completing
from innerloop.cli.options import ProjectOptions, one_environment, output_option
from innerloop.cli.promoting import consents, environment_of, with_consent

if TYPE_CHECKING:
    from innerloop.gitops.planning import Allowed
    from innerloop.project import Project


@click.command(short_help="open the pull request that brings an environment up to date")
@click.option(
    "--from",
    "source",
    default="",
    metavar="ENV",
    help="promote what runs in this environment: its commit and its images",
    shell_complete=completing.environments,
)
@click.option("--dry-run", is_flag=True, help="show what would be proposed; nothing is pushed")
@consents
@click.option("--over-rollback", is_flag=True, help="have again what was rolled back")
@click.option("--take-over", is_flag=True, help="replace files that no promotion of this project wrote")
@output_option
@one_environment
def command(
    options: ProjectOptions, environment: str, source: str, dry_run: bool, allowed: Allowed, yes: bool, output: str
) -> None:
    """Render an environment, check it, and open or update one pull request to the GitOps repository.

    Nothing to change: no pull request. The same again changes nothing. The checkout is not touched.
    """
    from innerloop.cli.diff import show, show_json
    from innerloop.cli.running import run
    from innerloop.gitops import promoting

    def load(name: str, file: Path | None) -> Project:
        return environment_of(options, name, file)

    if dry_run:
        # stdout is for the differences alone
        found = run(lambda emit: promoting.preview(load, environment, source, allowed, emit), stream=sys.stderr)
        show_json([found]) if output == "json" else show(found)
        return
    with_consent(
        lambda given: run(lambda emit: promoting.promote(load, environment, source, given, emit), output=output),
        allowed,
        yes=yes,
    )
