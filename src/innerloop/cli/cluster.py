"""``loop cluster``: a throw-away local Kubernetes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from innerloop.cli.options import output_option

if TYPE_CHECKING:
    from innerloop.cluster.provider import Status
    from innerloop.cluster.records import ProviderName

_NAME = "innerloop"
_PROVIDERS = ("kind", "k3d", "minikube", "built-in")

_name_argument = click.argument("name", default=_NAME)


@click.group(short_help="a throw-away local Kubernetes: up, down, status, load")
def command() -> None:
    """A throw-away local Kubernetes.

    With kind, k3d or minikube where one is installed, else the built-in node: Kubernetes' own components,
    compiled once on this machine.
    """


@command.command()
@_name_argument
@click.option("--provider", type=click.Choice(_PROVIDERS), help="instead of the first that is installed, else built-in")
@click.option("--install", is_flag=True, help="install missing Debian packages (built-in)")
@click.option("--merge", is_flag=True, help="put the context into your kubeconfig too")
@output_option
def up(name: str, provider: ProviderName | None, install: bool, merge: bool, output: str) -> None:
    """Make a cluster, start a stopped one, or mend a broken one."""
    from innerloop.cli.running import run
    from innerloop.cluster import operations

    status = run(lambda emit: operations.up(name, emit, provider=provider, install=install, merge=merge), output=output)
    if output == "text":
        click.echo(f"context {status.context}: loop use context {status.context}")
        click.echo(f"for other programs: export KUBECONFIG={status.kubeconfig}")


@command.command()
@_name_argument
@output_option
def down(name: str, output: str) -> None:
    """Remove a cluster without a trace."""
    from innerloop.cli.running import run
    from innerloop.cluster import operations

    run(lambda emit: operations.down(name, emit), output=output)


@command.command()
@_name_argument
@output_option
def status(name: str, output: str) -> int:
    """Tell what is wrong, in words; exit code 1 when anything is."""
    import asyncio

    import msgspec

    from innerloop.cluster import operations

    found = asyncio.run(operations.status(name))
    if output == "json":
        click.echo(msgspec.json.encode(found, enc_hook=str))
    else:
        _show(found)
    return 0 if found.state == "running" else 1


@command.command()
@click.argument("images", nargs=-1, required=True)
@click.option("--name", default=_NAME, help="of the cluster")
@output_option
def load(images: tuple[str, ...], name: str, output: str) -> None:
    """Have images in the cluster: of docker, buildah or podman by name, or archives by path."""
    from innerloop.cli.running import run
    from innerloop.cluster import operations

    run(lambda emit: operations.load(name, images, emit), output=output)


def _show(found: Status) -> None:
    if found.state == "absent":
        click.echo(f"there is no cluster {found.name}; make it: loop cluster up {found.name}")
        return
    colour = "green" if found.state == "running" else "red"
    click.echo(f"cluster {found.name} ({found.provider}): {click.style(found.state, fg=colour)}")
    click.echo(f"context {found.context}, kubeconfig {found.kubeconfig}")
    if found.registry:
        click.echo(f"registry {found.registry}")
    for component in found.components:
        click.echo(f"  {component.name:24} {component.state} since {_time(component.since)}")
    for problem in found.problems:
        click.echo(click.style("problem: ", fg="red", bold=True) + problem.message)
        for line in problem.detail.splitlines():
            click.echo(f"  {line}")
        if problem.hint:
            click.echo(click.style("hint: ", fg="cyan") + problem.hint)


def _time(seconds: float) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
