"""``loop build``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from innerloop.cli.options import (
    ProjectOptions,
    environments_of,
    load_environment,
    load_project,
    load_tree,
    output_option,
    project_options,
)

if TYPE_CHECKING:
    from innerloop.build.building import BuiltImage
    from innerloop.events import Emit
    from innerloop.project import Project


@click.command(short_help="build the images that changed")
@click.argument("images", nargs=-1, metavar="[IMAGE]…")
@click.option("--push", is_flag=True, help="to the images' own registries, without a cluster: for pipelines")
@click.option("--lock", is_flag=True, help="write loop.lock: what the environments are rendered with, by digest")
@output_option
@project_options
def command(options: ProjectOptions, output: str, images: tuple[str, ...], push: bool, lock: bool) -> None:
    """Build the project's images, or only those named, and bring them to where the cluster finds them.

    What is unchanged is neither built nor sent again. With --push they go to their own registries. With --lock it is
    written down what all environments, or the one of --env, are rendered with.
    """
    from innerloop.cli.running import run

    if push or lock:
        run(lambda emit: _for_environments(options, images, emit, push=push, lock=lock), output=output)
    else:
        run(lambda emit: _build(options, images, emit), output=output)


async def _build(options: ProjectOptions, names: tuple[str, ...], emit: Emit) -> list[BuiltImage]:
    from innerloop.engine.building import build_images

    return await build_images(await load_tree(options, emit), names, emit)


async def _for_environments(
    options: ProjectOptions, names: tuple[str, ...], emit: Emit, *, push: bool, lock: bool
) -> None:
    projects = _environments(options)
    if push:
        from innerloop.engine.pushing import push_images

        built = await push_images(projects, names, emit)
    else:
        built = await _build(options, names, emit)
    if lock:
        from innerloop.gitops.environments import locking

        await locking.lock(projects, built, emit, whole=options.env is None)


def _environments(options: ProjectOptions) -> list[Project]:
    """The project as it is in each of its environments, or in the one that was asked for."""
    if options.env is not None:
        return [load_environment(options, options.env)]
    return [load_environment(options, name) for name in environments_of(options)] or [load_project(options)]
