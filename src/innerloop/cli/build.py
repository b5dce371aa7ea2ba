"""``loop build``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from innerloop.cli.options import ProjectOptions, load_tree, output_option, project_options

if TYPE_CHECKING:
    from innerloop.events import Emit


@click.command(short_help="build the images that changed")
@click.argument("images", nargs=-1, metavar="[IMAGE]…")
@output_option
@project_options
def command(options: ProjectOptions, output: str, images: tuple[str, ...]) -> None:
    """Build the project's images, or only those named, and bring them to where the cluster finds them.

    What is unchanged is neither built nor sent again.
    """
    from innerloop.cli.running import run

    run(lambda emit: _build(options, images, emit), output=output)


async def _build(options: ProjectOptions, names: tuple[str, ...], emit: Emit) -> None:
    from innerloop.engine.building import build_images

    await build_images(await load_tree(options, emit), names, emit)
