"""``loop run``."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import click

from innerloop.cli import completing
from innerloop.cli.options import ProjectOptions, load_project, output_option, project_options
from innerloop.errors import LoopError

if TYPE_CHECKING:
    from innerloop.plugins import Plugins
    from innerloop.project import Project

# a command that says itself where its arguments go
_TAKES_ARGUMENTS = re.compile(r"\$(?:[@*1-9]|\{[@*1-9])")


@click.command(
    short_help="run a command of the project",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("name", required=False, shell_complete=completing.commands)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENT]…")
@output_option
@project_options
def command(options: ProjectOptions, output: str, name: str | None, arguments: tuple[str, ...]) -> int:
    """Run the command NAME of loop.yaml or of a plugin in the project's folder; without NAME list them.

    Options of loop stand before NAME; all that follows it belongs to the command. Its exit code is passed on. It
    sees LOOP_CONTEXT, LOOP_NAMESPACE and LOOP_ENVIRONMENT.
    """
    project = load_project(options)
    if name is not None and name in project.commands:
        _become(project, project.commands[name].run, arguments)
    plugins = _plugins(project)
    if name is None:
        click.echo(_listing(project, plugins, output))
        return 0
    if name not in plugins.commands:
        raise _unknown(name, [*project.commands, *plugins.commands])
    import asyncio

    os.chdir(project.folder)
    os.environ.update(_variables(project))
    return asyncio.run(plugins.command(name, project, arguments))


def _become(project: Project, text: str, arguments: tuple[str, ...]) -> None:
    """Replace this process by the shell: signals, terminal and exit status are then the command's own."""
    os.chdir(project.folder)
    if arguments and not _TAKES_ARGUMENTS.search(text):
        text += ' "$@"'
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvpe("sh", ["sh", "-c", text, "sh", *arguments], {**os.environ, **_variables(project)})


def _variables(project: Project) -> dict[str, str]:
    from innerloop.cli.options import kube_config

    return {
        "LOOP_CONTEXT": project.context,
        "LOOP_NAMESPACE": project.namespace,
        "LOOP_ENVIRONMENT": project.environment or "",
        # so that kubectl --context finds those of the built-in clusters
        "KUBECONFIG": os.pathsep.join(map(str, kube_config().files)),
    }


def _plugins(project: Project) -> Plugins:
    from innerloop import plugins

    return plugins.load(project)


def _listing(project: Project, plugins: Plugins, output: str) -> str:
    described = {name: command.description or command.run for name, command in project.commands.items()}
    for name, function in plugins.commands.items():
        described.setdefault(name, (function.__doc__ or "from a plugin").strip().splitlines()[0])
    if output == "json":
        import msgspec

        return msgspec.json.encode([{"name": name, "description": text} for name, text in described.items()]).decode()
    if not described:
        return "The project has no commands: loop.yaml lists them in commands:"
    width = max(map(len, described))
    return "\n".join(f"{name:{width}}  {text.splitlines()[0]}" for name, text in described.items())


def _unknown(name: str, known: list[str]) -> LoopError:
    from innerloop.config.problems import suggestion

    hint = suggestion(name, known) or "loop.yaml lists them in commands:"
    return LoopError(f"the project has no command '{name}'", hint=hint)
