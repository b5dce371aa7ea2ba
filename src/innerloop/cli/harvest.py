"""``loop harvest``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from innerloop.cli.options import ProjectOptions, output_option, project_options

if TYPE_CHECKING:
    from innerloop.events import Emit
    from innerloop.gitops.harvest.attributing import Attributed
    from innerloop.gitops.harvest.harvesting import Harvest


@click.command(short_help="turn what was changed live into a patch of the templates")
@click.option("--write", is_flag=True, help="change the files, instead of printing the patch alone")
@output_option
@project_options
def command(options: ProjectOptions, output: str, write: bool) -> int:
    """Compare what runs with what the project renders, and print a patch of its templates, values and variables that
    makes them say what was changed by hand: loop harvest | git apply.

    Rendering with the patch gives exactly that and changes nothing else. What has no such place is told. Exit code 1
    when there is any.
    """
    from innerloop.cli.running import run

    # stdout is for the patch alone
    found = run(lambda emit: _harvest(options, emit, write=write), stream=sys.stderr)
    if output == "json":
        click.echo(_as_json(found))
    else:
        click.echo(found.patch, nl=False)
        _tell(found, written=write)
    return 0 if found.is_complete else 1


async def _harvest(options: ProjectOptions, emit: Emit, *, write: bool) -> Harvest:
    from innerloop import plugins
    from innerloop.cli.options import locate
    from innerloop.config import loading
    from innerloop.engine.connecting import connected
    from innerloop.gitops.harvest import patching
    from innerloop.gitops.harvest.harvesting import harvest

    file, loaded = locate(options)
    project = loading.load(file, loaded)
    async with connected(project, emit) as scope:
        found = await harvest(scope.client, project, loaded, plugins.load(project), emit)
    if write:
        await patching.write(found.edited, found.top)
    return found


def _tell(found: Harvest, *, written: bool) -> None:
    for one in found.attributed:
        mark = click.style("✓", fg="green") if one.edits else click.style("✗", fg="yellow")
        click.echo(f"{mark} {one.change}: {_shown(one.change.old)} → {_shown(one.change.new)}{_by(one)}", err=True)
        for edit in one.edits:
            click.echo(f"    {edit.where} {edit.what}", err=True)
        if one.reason:
            click.echo(f"    {one.reason}", err=True)
    if not found.attributed:
        click.echo("nothing was changed by hand", err=True)
    elif written and found.patch:
        click.echo(f"written: {', '.join(sorted({_name(one.file) for one in found.edited}))}", err=True)


def _by(one: Attributed) -> str:
    return f"  (by {', '.join(one.change.managers)})" if one.change.managers else ""


def _shown(value: Any) -> str:
    from innerloop.gitops.harvest.fields import ABSENT

    if value is ABSENT:
        return "nothing"
    if not isinstance(value, str):
        import msgspec

        return msgspec.json.encode(value).decode()
    return value if value and len(value) <= 80 and "\n" not in value else repr(value[:80])


def _name(file: Any) -> str:
    from innerloop.config.files import shown

    return shown(file)


def _as_json(found: Harvest) -> str:
    import msgspec

    from innerloop.gitops.harvest.fields import ABSENT, shown

    def value(given: Any) -> dict[str, Any]:
        return {} if given is ABSENT else {"value": given}

    changes = [
        {
            "object": one.change.key._asdict(),
            "field": shown(one.change.path),
            "rendered": value(one.change.old),
            "live": value(one.change.new),
            "by": one.change.managers,
            "edits": [{"where": str(edit.where), "what": edit.what} for edit in one.edits],
            "reason": one.reason,
        }
        for one in found.attributed
    ]
    document = {"changes": changes, "patch": found.patch}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
