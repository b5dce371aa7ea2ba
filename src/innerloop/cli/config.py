"""``loop config``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from innerloop.cli import completing, explaining
from innerloop.cli.explaining import MASK, SECRET
from innerloop.cli.options import ProjectOptions, load_project, output_option, project_options
from innerloop.errors import LoopError

if TYPE_CHECKING:
    from innerloop.project import Project, Variable

_SHORTESTMASKED = 4
"""Shorter secrets are masked as a variable's value only: elsewhere they would hit too much."""


@click.command(short_help="the configuration as it is understood")
@click.option(
    "--explain",
    metavar="[NAME]",
    is_flag=False,
    flag_value="",
    shell_complete=completing.variables,
    help="tell a variable's value, where it comes from and what it overrides; all in all environments without NAME",
)
@output_option
@project_options
def command(options: ProjectOptions, output: str, explain: str | None) -> None:
    """Print the project with variables put in and profiles merged. Values of secrets (variables with PASSWORD, TOKEN,
    SECRET or KEY in their name) are masked, but not by --explain NAME.

    --explain alone also tells variables that nothing uses, and names that files use and nobody declares."""
    if explain == "":
        click.echo(explaining.all_variables(options, output))
        return
    project = load_project(options)
    if explain is not None:
        click.echo(explaining.one_variable(_variable(project, explain), output))
        return
    shown = _masked(_plain(project), _secrets(project))
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())
    else:
        from innerloop.config.yaml import dump_all

        click.echo(dump_all([shown]), nl=False)
    _warn(project)


def _plain(project: Project) -> dict[str, Any]:
    """The model as mappings, without what is empty or only for us."""
    hidden = ("variables", "locations", "files")
    head = {name: _value(getattr(project, name)) for name in project.__struct_fields__ if name not in hidden}
    variables = {name: MASK if SECRET.search(name) else variable.value for name, variable in project.variables.items()}
    return {name: value for name, value in {**head, "variables": variables}.items() if value not in (None, {}, [], "")}


def _value(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        fields = ((field, _value(getattr(value, field))) for field in value.__struct_fields__)
        return {field: inner for field, inner in fields if inner not in (None, {}, [], "")}
    if isinstance(value, dict):
        return {key: _entry(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_value(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


def _entry(value: Any) -> Any:
    shown = _value(value)
    if isinstance(value, msgspec.Struct):
        # what stands under its name need not repeat it
        shown.pop("name", None)
    return shown


def _secrets(project: Project) -> list[str]:
    values = (variable.value for name, variable in project.variables.items() if SECRET.search(name))
    # the longest first: one secret may contain another
    return sorted((value for value in values if len(value) >= _SHORTESTMASKED), key=len, reverse=True)


def _masked(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, dict):
        return {key: _masked(inner, secrets) for key, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, secrets) for inner in value]
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
    return value


def _variable(project: Project, name: str) -> Variable:
    if name in project.variables:
        return project.variables[name]
    from innerloop.config.problems import suggestion

    raise LoopError(f"no variable '{name}'", hint=suggestion(name, project.variables))


def _warn(project: Project) -> None:
    from innerloop.render.usage import unused

    for name in unused([project]):
        warning = click.style("warning: ", fg="yellow")
        where = project.where(f"variables.{name}")
        click.echo(f"{warning}{where}: variable {name} is not used anywhere", err=True)
