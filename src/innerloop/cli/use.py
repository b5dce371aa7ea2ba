"""``loop use context`` and ``loop use namespace``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from innerloop.cli import completing, picking
from innerloop.cli.options import current_context, kube_config, output_option
from innerloop.errors import LoopError

if TYPE_CHECKING:
    from innerloop.kube.config import KubeConfig

file_option = click.option("-f", "--file", type=click.Path(path_type=Path), help="loop.yaml, or its folder")
reset_option = click.option("--reset", is_flag=True, help="forget the choice")


@click.group(short_help="choose the context or namespace of this project")
def command() -> None:
    """Choose the context or namespace that this project works with.

    The choice is kept in the project's folder .loop; the kubeconfig is not written.
    """


@command.command()
@click.argument("name", required=False, shell_complete=completing.contexts)
@reset_option
@output_option
@file_option
def context(name: str | None, reset: bool, output: str, file: Path | None) -> None:
    """Choose a context of the kubeconfig; without NAME pick one, or list them where there is no terminal."""
    folder = _folder(file)
    if reset:
        _choose(folder, context="")
        return
    config = kube_config()
    names = sorted(config.contexts)
    if name is None:
        name = _picked(names, current_context(folder, config), "Context", output)
    if name is None:
        return
    if name not in config.contexts:
        raise _unknown_context(name, names)
    _choose(folder, context=name)
    _tell("context", name, "LOOP_CONTEXT")


@command.command()
@click.argument("name", required=False)
@reset_option
@output_option
@file_option
def namespace(name: str | None, reset: bool, output: str, file: Path | None) -> None:
    """Choose a namespace, which may be a new one; without NAME pick one of the cluster's, or list them."""
    from innerloop.config.namespaces import check_namespace

    folder = _folder(file)
    if reset:
        _choose(folder, namespace="")
        return
    if name is None:
        name = _picked_namespace(folder, output)
    if name is None:
        return
    check_namespace(name)
    _choose(folder, namespace=name)
    _tell("namespace", name, "LOOP_NAMESPACE")


def _folder(file: Path | None) -> Path:
    from innerloop.config import files

    return files.find(file, Path.cwd()).parent


def _choose(folder: Path, **change: str) -> None:
    from innerloop.config import choices

    choices.write(folder, msgspec.structs.replace(choices.read(folder), **change))


def _tell(what: str, name: str, variable: str) -> None:
    click.echo(f"{what}: {name}")
    stronger = os.environ.get(variable)
    if stronger and stronger != name:
        warning = click.style("warning: ", fg="yellow")
        click.echo(f"{warning}{variable}={stronger} in the environment wins over this choice", err=True)


def _picked(names: list[str], current: str, title: str, output: str) -> str | None:
    """The user's pick, None after listing where nobody can pick."""
    if output == "json":
        entries = [{"name": name, "current": name == current} for name in names]
        click.echo(msgspec.json.encode(entries).decode())
        return None
    if names and picking.interactive():
        return picking.pick(names, title=title, current=current)
    for name in names:
        click.echo(f"{'*' if name == current else ' '} {name}")
    if not names:
        click.echo(f"there is no {title.lower()}", err=True)
    return None


def _picked_namespace(folder: Path, output: str) -> str | None:
    import asyncio

    from innerloop.config import choices

    config = kube_config()
    context = current_context(folder, config)
    entry = config.contexts.get(context)
    chosen = os.environ.get("LOOP_NAMESPACE") or choices.read(folder).namespace
    current = chosen or (entry.namespace if entry else "") or "default"
    return _picked(asyncio.run(_namespaces(config, context)), current, "Namespace", output)


async def _namespaces(config: KubeConfig, context: str) -> list[str]:
    from innerloop.kube.client import connect
    from innerloop.kube.config import access
    from innerloop.kube.errors import Forbidden
    from innerloop.kube.objects import list_all

    async with connect(access(config, context or None)) as client:
        try:
            items, _ = await list_all(client, "v1", "Namespace", namespace=None)
        except Forbidden as error:
            if error.anonymous:
                raise
            hint = "name yours: loop use namespace NAME"
            raise LoopError("no right to list the namespaces", detail=error.message, hint=hint) from error
    return sorted(item["metadata"]["name"] for item in items)


def _unknown_context(name: str, names: list[str]) -> LoopError:
    from innerloop.config.problems import suggestion

    hint = suggestion(name, names) or "there is none yet: 'loop cluster up' starts a local cluster"
    return LoopError(f"no context '{name}' in the kubeconfig", hint=hint)
