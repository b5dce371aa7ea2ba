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
    from innerloop.events import Emit
    from innerloop.gitops.promotion.planning import Allowed
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
@click.option("--wait", is_flag=True, help="return when it is healthy in the environment, or has failed")
@click.option("--timeout", default=3600.0, metavar="SECONDS", show_default=True, help="how long --wait waits")
@click.option("--report", is_flag=True, help="with --wait: tell the forges how far it is, as the commits' status")
@output_option
@one_environment
def command(
    options: ProjectOptions,
    environment: str,
    source: str,
    dry_run: bool,
    allowed: Allowed,
    yes: bool,
    wait: bool,
    timeout: float,
    report: bool,
    output: str,
) -> None:
    """Render an environment, check it, and open or update one pull request to the GitOps repository.

    Nothing to change: no pull request. The same again changes nothing. The checkout is not touched.
    """
    from innerloop.cli.running import run
    from innerloop.gitops.promotion import promoting

    if report and not wait:
        raise click.UsageError("--report is for --wait")

    def load(name: str, file: Path | None) -> Project:
        return environment_of(options, name, file)

    if dry_run:
        from innerloop.cli.diff import show, show_json

        # stdout is for the differences alone
        found = run(lambda emit: promoting.preview(load, environment, source, allowed, emit), stream=sys.stderr)
        show_json([found]) if output == "json" else show(found)
        return

    async def work(given: Allowed, emit: Emit) -> None:
        outcome = await promoting.promote(load, environment, source, given, emit)
        if wait:
            await _wait(load(environment, None), outcome.source, emit, seconds=timeout, report=report)

    with_consent(lambda given: run(lambda emit: work(given, emit), output=output), allowed, yes=yes)


async def _wait(project: Project, commit: str, emit: Emit, *, seconds: float, report: bool) -> None:
    from innerloop.cli.options import with_context
    from innerloop.engine import inquiring
    from innerloop.errors import LoopError

    if not commit:
        raise LoopError("what was rendered is in no commit: nothing tells when it arrives", hint="commit it first")
    await inquiring.wait(with_context(project), commit, emit, seconds=seconds, tell_forges=report)
