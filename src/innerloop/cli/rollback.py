"""``loop rollback``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from innerloop.cli.options import ProjectOptions, one_environment, output_option
from innerloop.cli.promoting import consents, environment_of, with_consent

if TYPE_CHECKING:
    from innerloop.gitops.promotion.planning import Allowed


@click.command(short_help="open the pull request that takes an environment back")
@click.option(
    "--to", default="", metavar="COMMIT", help="a commit of the GitOps repository, or of the source; as it was then"
)
@consents
@output_option
@one_environment
def command(options: ProjectOptions, environment: str, to: str, allowed: Allowed, yes: bool, output: str) -> None:
    """Open the pull request by which an environment goes back to what it was before its last change.

    What was rolled back is remembered: the next promotion of the same commit is refused, that of another says it.
    """
    from innerloop.cli.running import run
    from innerloop.gitops.promotion import promoting

    def roll_back(given: Allowed) -> None:
        project = environment_of(options, environment, None)
        run(lambda emit: promoting.roll_back(project, to, given, emit), output=output)

    with_consent(roll_back, allowed, yes=yes)
