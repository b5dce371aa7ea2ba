"""``loop status``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from innerloop.cli.options import ProjectOptions, output_option, project_options

if TYPE_CHECKING:
    from innerloop.engine.reporting import Report
    from innerloop.engine.snapshot import Snapshot
    from innerloop.events import Emit, SyncStream
    from innerloop.gitops.agents.outlook import Outlook
    from innerloop.gitops.progress.progress import Progress

T = TypeVar("T")

MARKS = {"ready": ("✓", "green"), "waiting": ("…", "yellow"), "failed": ("✗", "red"), "missing": ("✗", "red")}
STATE_COLOURS = {"healthy": "green", "overtaken": "green", "failed": "red", "not promoted": "red"}


@click.command(short_help="what is deployed, and by whom; how far a commit is on its way")
@click.option("--commit", metavar="COMMIT", help="with --env: the commit that is asked about; HEAD unless given")
@click.option("--report", is_flag=True, help="with --env: tell the forges too, as the commits' status")
@output_option
@project_options
def command(options: ProjectOptions, commit: str | None, report: bool, output: str) -> int:
    """Tell what is deployed, ready, forwarded and synced, and by whom. Exit code 1 unless all is ready.

    With --env, tell how far a source commit is on its way there: in a pull request, merged, applied by Flux
    or Argo CD, healthy, failed and why, or overtaken by a newer one. Exit code 1 unless it is healthy or overtaken.
    """
    import sys

    from innerloop.cli.running import run

    if commit is not None or report or _is_promoted(options):
        if options.env is None:
            raise click.UsageError("--commit and --report are for an environment: add --env NAME")
        environment = options.env
        reached = run(lambda emit: _progress(options, environment, commit or "HEAD", report, emit), stream=sys.stderr)
        _print(reached, output, _show_progress)
        return 0 if reached.state in ("healthy", "overtaken") else 1
    found = run(lambda emit: _deployed(options, emit), stream=sys.stderr)
    _print(found, output, _show)
    return 0 if found.is_ready else 1


def _is_promoted(options: ProjectOptions) -> bool:
    """Whether an environment is asked about that a GitOps repository has; any other is deployed to by hand."""
    from innerloop.cli.options import load_environment

    return options.env is not None and load_environment(options, options.env).gitops is not None


async def _deployed(options: ProjectOptions, emit: Emit) -> Report:
    from innerloop.cli.options import load_project
    from innerloop.engine.connecting import connected
    from innerloop.engine.reporting import report
    from innerloop.engine.truces import end_over

    project = load_project(options)
    async with connected(project, emit) as scope:
        await end_over(scope, project)
        return await report(project, scope)


async def _progress(options: ProjectOptions, environment: str, commit: str, report: bool, emit: Emit) -> Progress:
    from innerloop.cli.options import load_environment, with_context
    from innerloop.engine.inquiring import progress

    project = with_context(load_environment(options, environment))
    return await progress(project, commit, emit, tell_forges=report)


def _print(found: T, output: str, show: Callable[[T], None]) -> None:
    import msgspec

    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        show(found)


def _show_progress(found: Progress) -> None:
    colour = STATE_COLOURS.get(found.state, "yellow")
    click.echo(f"{click.style(found.project, bold=True)}  {found.commit[:7]} in {found.environment}")
    click.echo(f"  {click.style(found.state, fg=colour)}" + (f": {found.message}" if found.message else ""))
    if found.pull_request and found.pull_request not in found.message:
        click.echo(f"  pull request {found.pull_request}")
    if found.gitops_commit:
        click.echo(
            f"  {found.environment} has {found.promoted[:7]} since {found.gitops_commit[:7]} of the GitOps repository"
        )
    for one in found.followers:
        has = f"has {one.applied[:7]}" if one.applied else "has applied nothing yet"
        held = f", {one.held}" if one.held else ""
        click.echo(f"  {one.agent}: {one.name} {has}, {one.verdict}{held}")
    for what in found.hidden:
        click.echo(f"  not known: {what}")


def _show(found: Report) -> None:
    click.echo(f"{click.style(found.project, bold=True)}  namespace {found.namespace} on {found.context}")
    if not found.objects:
        click.echo("  nothing is deployed: loop deploy, or loop dev")
    else:
        click.echo(f"  deployed by {found.deployed_from}")
    for one in found.objects:
        mark, colour = MARKS[one.state]
        place = f" in {one.namespace}" if one.namespace not in ("", found.namespace) else ""
        told = f"  {one.message}" if one.message else ""
        click.echo(f"  {click.style(mark, fg=colour)} {one.kind}/{one.name}{place}{told}")
    here = {service for session in found.sessions for service in session.services}
    for developer in found.developers:
        if developer.service not in here:
            click.echo(f"  {developer.service} is being developed by {developer.holder} since {developer.since}")
    for agent in found.agents:
        _show_agent(agent)
    _show_sessions(found)


def _show_agent(agent: Outlook) -> None:
    """Who will undo changes, and when."""
    who = f"{agent.agent}: {agent.applier}{f' in {agent.namespace}' if agent.namespace else ''}"
    if agent.unseen:
        click.echo(f"  ↻ {who} may undo changes of {_some(agent.objects)}; it may not be looked at: {agent.unseen}")
        return
    when = f"undoes changes {agent.undoes}" if agent.undoes else "undoes no changes by itself"
    click.echo(f"  ↻ {who} {when}: {_some(agent.objects)}")
    for waits in agent.waits:
        until = _clock(waits.until)
        click.echo(f"    but not those of {waits.reason} by {waits.holder}, until {until}: {_some(waits.objects)}")


def _some(names: tuple[str, ...], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _clock(time: str) -> str:
    from datetime import datetime

    return datetime.fromisoformat(time).astimezone().strftime("%H:%M")


def _show_sessions(found: Report) -> None:
    for session in found.sessions:
        state = "ready" if session.ready else "starting"
        click.echo(f"  session {session.pid} {state}, since {session.started}: {', '.join(session.services)}")
        for forward in session.forwards.values():
            click.echo(f"    ↔ {forward.address}:{forward.local} → {forward.service}:{forward.remote} {forward.state}")
        for name, stream in session.streams.items():
            click.echo(f"    ⇡ {name}: {_stream(session, name, stream)}")
        for name, process in session.processes.items():
            click.echo(f"    {name}: process {process.state} {process.message}".rstrip())
        for step, cause in session.failed.items():
            click.echo(f"    ✗ {step}: {cause}")


def _stream(session: Snapshot, name: str, stream: SyncStream) -> str:
    """State of a stream, with what it does, or did last."""
    told = f"{stream.state}: {stream.message}" if stream.message else stream.state
    if sending := session.sending.get(name):
        return f"{told}; {sending.files} of {sending.all_files} files sent"
    if batch := session.syncs.get(name):
        action = f", {batch.action}" if batch.action else ""
        told += f"; last batch {batch.files} files, {batch.deleted} deleted{action}"
    return told
