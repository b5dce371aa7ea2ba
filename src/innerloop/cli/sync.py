"""``loop sync``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from innerloop.cli.options import ProjectOptions, output_option, project_options

if TYPE_CHECKING:
    from innerloop.events import Emit

PATIENCE = 60.0


@click.command(short_help="keep what is deployed the same as the files")
@click.argument("services", nargs=-1, metavar="[SERVICE]…")
@click.option("--wait", is_flag=True, help="return when everything that was saved so far is live")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help=f"with --wait: how long a container may be out of reach ({PATIENCE:g})",
)
@output_option
@project_options
def command(options: ProjectOptions, services: tuple[str, ...], wait: bool, timeout: float | None, output: str) -> None:
    """Sync alone, until ^C: keep the containers of each SERVICE that loop dev deployed the same as the files.

    With --wait, for scripts: a running session is asked, else what differs is sent. Exit code 1 when something
    cannot be synced.
    """
    from innerloop.cli.options import load_project
    from innerloop.cli.running import run
    from innerloop.engine.connecting import connected
    from innerloop.engine.keeping_in_sync import keep_in_sync, make_live

    if timeout is not None and not wait:
        raise click.UsageError("--timeout goes with --wait")
    project = load_project(options)

    async def work(emit: Emit) -> None:
        async with connected(project, emit) as scope:
            if wait:
                await make_live(project, services, scope, PATIENCE if timeout is None else timeout)
            else:
                await keep_in_sync(project, services, scope)

    run(work, output=output)
