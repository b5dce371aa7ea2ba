"""``loop diff``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from innerloop.cli.options import ProjectOptions, several_environments

if TYPE_CHECKING:
    from innerloop.events import Emit
    from innerloop.gitops.differences.comparing import Comparison
    from innerloop.gitops.differences.differences import Difference

COLOURS = {"+": "green", "-": "red", "@": "cyan"}
SIGNS = {"added": ("+", "green"), "changed": ("~", "yellow"), "removed": ("-", "red")}


@click.command(short_help="what a deployment or a promotion would change")
@click.option("--all-envs", is_flag=True, help="all environments of the project")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    help="json: for programs; markdown: for a comment on a pull request",
)
@click.option("--exit-code", is_flag=True, help="end with status 1 when something differs")
@several_environments
def command(
    options: ProjectOptions, environments: tuple[str, ...], all_envs: bool, output: str, exit_code: bool
) -> int:
    """Compare the rendered manifests with what is there, object by object; nothing is changed.

    With --env, with what the environment's branch in the GitOps repository has: what a promotion would change. Without,
    with the cluster: what loop deploy would change, as the API server foresees it. Values of Secrets are not shown.
    """
    from innerloop.cli.running import run

    # stdout is for the differences alone
    found = run(lambda emit: _compare(options, environments, all_envs, emit), stream=sys.stderr)
    match output:
        case "json":
            show_json(found)
        case "markdown":
            from innerloop.gitops.differences.markdown import Change, comment

            click.echo(comment([Change(one.name, one.differences) for one in found]), nl=False)
        case _:
            for one in found:
                show(one)
    return int(exit_code and any(one.differences for one in found))


async def _compare(
    options: ProjectOptions, environments: Sequence[str], all_envs: bool, emit: Emit
) -> list[Comparison]:
    from innerloop.cli.options import environments_of, load_environment, load_tree

    if not environments and not all_envs:
        from innerloop.engine.comparing import against_cluster

        return await against_cluster(await load_tree(options, emit), emit)
    from innerloop.errors import LoopError
    from innerloop.gitops.differences.comparing import against_repository

    if all_envs:
        environments = environments_of(options)
        if not environments:
            raise LoopError("the project has no environments", hint="declare them in loop.yaml: see `environments`")
    return await against_repository([load_environment(options, name) for name in dict.fromkeys(environments)], emit)


def show_json(found: Sequence[Comparison]) -> None:
    """Print differences for programs."""
    import msgspec

    comparisons = [
        {"name": one.name, "against": one.against, "differences": [_as_json(each) for each in one.differences]}
        for one in found
    ]
    click.echo(msgspec.json.format(msgspec.json.encode({"comparisons": comparisons}), indent=2))


def _as_json(difference: Difference) -> dict[str, str]:
    key = difference.key
    return {
        "apiVersion": key.api_version,
        "kind": key.kind,
        "namespace": key.namespace,
        "name": key.name,
        "change": difference.kind,
        "diff": difference.text,
    }


def show(one: Comparison) -> None:
    """Print differences for people."""
    from innerloop.gitops.differences.markdown import counted

    click.echo(f"{click.style(one.name, bold=True)}  {counted(one.differences)}  ({one.against})")
    for difference in one.differences:
        key = difference.key
        sign, colour = SIGNS[difference.kind]
        place = f" in {key.namespace}" if key.namespace else ""
        click.echo(f"{click.style(sign, fg=colour)} {key.kind}/{key.name}{place}")
        for line in difference.text.splitlines():
            click.echo(f"    {click.style(line, fg=COLOURS.get(line[0]))}")
