"""``loop doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from innerloop.cli.options import ProjectOptions, output_option, project_options
from innerloop.errors import LoopError

if TYPE_CHECKING:
    from innerloop.engine.examining import Check
    from innerloop.events import Emit
    from innerloop.gitops.agents.resuming import Standing
    from innerloop.kube.access import Access


@click.command(short_help="what this machine, cluster and project lack, and what mends it")
@click.option("--resume", is_flag=True, help="give back what dead sessions hold of Argo CD and Flux, from any folder")
@click.option("--all", "everything", is_flag=True, help="with --resume: also what sessions elsewhere may still hold")
@click.option("--yes", is_flag=True, help="with --all: do not ask")
@click.option("--cronjob", is_flag=True, help="print manifests of a CronJob that does --resume in the cluster")
@output_option
@project_options
def command(options: ProjectOptions, resume: bool, everything: bool, yes: bool, cronjob: bool, output: str) -> int:
    """Tell what this machine, the cluster and the project lack, with the command that mends it.

    Exit code 1 when anything is missing. A project is not needed.
    """
    if everything and not resume:
        raise click.UsageError("--all is for --resume")
    if cronjob:
        from innerloop.gitops.agents.cronjob import manifests

        click.echo(manifests(), nl=False)
        return 0
    if resume:
        return _resume(options, everything, yes, output)
    return _examine(options, output)


def _examine(options: ProjectOptions, output: str) -> int:
    import sys

    import msgspec

    from innerloop.cli.running import run

    checks = run(lambda emit: _checks(options), stream=sys.stderr)
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(checks), indent=2).decode())
    else:
        for check in checks:
            _show(check)
    return 0 if all(check.good for check in checks) else 1


async def _checks(options: ProjectOptions) -> list[Check]:
    from innerloop.engine.examining import examine_cluster, examine_machine, failed
    from innerloop.kube.client import connect

    checks = await examine_machine()
    project, namespace, context = _project(options)
    checks += [project] if project else []
    try:
        access = _access(options, context)
    except LoopError as error:
        return [*checks, failed("cluster", error)]
    async with connect(access) as client:
        return [*checks, *await examine_cluster(client, options.namespace or namespace or access.namespace)]


def _project(options: ProjectOptions) -> tuple[Check | None, str, str]:
    """How the project of this folder is, if there is one; its namespace and context."""
    from pathlib import Path

    from innerloop.cli.options import load_project
    from innerloop.config import files
    from innerloop.engine.examining import Check, failed

    try:
        files.find(options.file, Path.cwd())
    except LoopError as error:
        # doctor works anywhere; a file that is named has to be there
        return (failed("project", error) if options.file else None), "", ""
    try:
        project = load_project(options)
    except LoopError as error:
        return failed("project", error), "", ""
    told = f"{project.name}, {len(project.images)} images, {len(project.dev)} dev targets"
    return Check(name="project", good=True, told=told), project.namespace, project.context


def _access(options: ProjectOptions, context: str = "") -> Access:
    import os

    from innerloop.cli.options import kube_config
    from innerloop.kube.config import access

    return access(kube_config(), options.context or context or os.environ.get("LOOP_CONTEXT") or None)


def _show(check: Check) -> None:
    mark = click.style("✓", fg="green") if check.good else click.style("✗", fg="red")
    click.echo(f"{mark} {check.name}: {check.told}")
    for line in check.detail.splitlines():
        click.echo(f"    {line}")
    if check.hint:
        click.echo(f"    {click.style('hint: ', fg='cyan')}{check.hint}")


def _resume(options: ProjectOptions, everything: bool, yes: bool, output: str) -> int:
    from innerloop.cli.running import run

    _, _, context = _project(options)
    access = _access(options, context)
    over, alive = run(lambda emit: _standing(access, everything), output=output)
    if everything and any(not one.over for one in over) and not yes:
        for one in over:
            click.echo(f"{_about(one)}: {one.over or 'may still be running'}", err=True)
        click.confirm("Give back all of these?", abort=True, err=True)
    left = run(lambda emit: _end(access, over, emit), output=output) if over else 0
    if output == "text":
        if not over:
            click.echo("nothing is to be given back")
        for one in alive:
            click.echo(f"{_about(one)} may still be running until {one.session.expires}; --all gives that back too")
    return 1 if left else 0


async def _standing(access: Access, everything: bool) -> tuple[list[Standing], list[Standing]]:
    from innerloop.engine.examining import standing
    from innerloop.kube.client import connect

    async with connect(access) as client:
        return await standing(client, alive=everything)


async def _end(access: Access, over: list[Standing], emit: Emit) -> int:
    """Give back; returns how many truces are not wholly ended."""
    from innerloop.engine.truces import end
    from innerloop.kube.client import connect

    async with connect(access) as client:
        return sum([not await end(client, one, emit) for one in over])


def _about(one: Standing) -> str:
    names = ", ".join(f"{hold.key} in {hold.key.namespace}" for hold in one.holds)
    return f"{one.session.reason} by {one.session.holder} holds {names or 'nothing'}"
