"""``loop status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from innerloop.cli.options import ProjectOptions, output_option, project_options

if TYPE_CHECKING:
    from innerloop.engine.reporting import Report
    from innerloop.engine.snapshot import Snapshot
    from innerloop.events import Emit, SyncStream

MARKS = {"ready": ("✓", "green"), "waiting": ("…", "yellow"), "failed": ("✗", "red"), "missing": ("✗", "red")}


@click.command(short_help="what is deployed, and by whom")
@output_option
@project_options
def command(options: ProjectOptions, output: str) -> int:
    """Tell what is deployed, ready, forwarded and synced, and by whom. Exit code 1 unless all is ready."""
    import sys

    import msgspec

    from innerloop.cli.options import load_project
    from innerloop.cli.running import run
    from innerloop.engine.connecting import connected
    from innerloop.engine.reporting import report

    project = load_project(options)

    async def work(emit: Emit) -> Report:
        async with connected(project, emit) as scope:
            return await report(project, scope)

    found = run(work, stream=sys.stderr)
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        _show(found)
    return 0 if found.is_ready else 1


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
    _show_sessions(found)


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
