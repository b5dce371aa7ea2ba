"""``loop render``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from innerloop.cli.options import ProjectOptions, load_environment, load_project, project_options

if TYPE_CHECKING:
    from innerloop.events import Emit
    from innerloop.manifest import Manifest


class _Stream(NamedTuple):
    manifests: list[Manifest]
    namespace: str
    """That goes without saying in the names of files."""


@click.command(short_help="print the low-level manifests")
@click.option("--dev", is_flag=True, help="as loop dev applies them: with the built images and the dev overlay")
@click.option("-o", "format", type=click.Choice(["yaml", "json"]), default="yaml", help="form of the stream")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="folder for a YAML file per object")
@project_options
def command(options: ProjectOptions, dev: bool, format: str, output: Path | None) -> None:
    """Render the project's templates to the manifests that are deployed, and print them.

    The same input gives the same output, byte for byte; on a terminal binary data is left out. With --env, it is what
    the environment gets, with the images of loop.lock. With --output, files of objects that are no longer rendered are
    removed from the folder; other files in it are left alone.
    """
    from innerloop.cli.running import run
    from innerloop.render import writing

    # stdout is for the manifests alone
    stream = run(lambda emit: _render_for_dev(options, emit) if dev else _render(options, emit), stream=sys.stderr)
    if output is not None:
        writing.write_files(stream.manifests, output, namespace=stream.namespace)
        return
    manifests = stream.manifests
    if sys.stdout.isatty():
        manifests = [_for_people(manifest) for manifest in manifests]
    click.echo(writing.as_json(manifests) if format == "json" else writing.as_yaml(manifests), nl=False)


def _for_people(manifest: Manifest) -> Manifest:
    """The manifest without the programs that a ConfigMap holds: the helper alone would fill fifteen screens."""
    from innerloop.manifest import Manifest

    binary = manifest.object.get("binaryData")
    if manifest.kind != "ConfigMap" or not isinstance(binary, dict):
        return manifest
    shown = {name: f"({len(str(data))} characters, left out on a terminal)" for name, data in binary.items()}
    return Manifest({**manifest.object, "binaryData": shown}, manifest.source)


async def _render_for_dev(options: ProjectOptions, emit: Emit) -> _Stream:
    from innerloop.cli.options import load_tree
    from innerloop.engine.previewing import dev_manifests

    tree = await load_tree(options, emit)
    return _Stream(await dev_manifests(tree, emit), tree.project.namespace)


async def _render(options: ProjectOptions, emit: Emit) -> _Stream:
    from innerloop.gitops.environments.rendering import render_environment, render_project

    if options.env is None:
        project = load_project(options)
        return _Stream(await render_project(project, emit=emit), project.namespace)
    project = load_environment(options, options.env)
    rendered = await render_environment(project, emit=emit)
    return _Stream(list(rendered.manifests), project.namespace)
