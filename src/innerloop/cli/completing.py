"""What the shell offers for an argument: names that the project's file has. Never an error, never a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from innerloop.project import Project

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def names_of(section: Callable[[Project], Iterable[str]]) -> Complete:
    """Complete with the names that ``section`` finds in the project."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        from innerloop.cli.options import ProjectOptions, load_project
        from innerloop.errors import LoopError

        try:
            project = load_project(ProjectOptions(file=context.params.get("file")))
        except LoopError:
            return []
        given = context.params.get(parameter.name or "")
        taken = given if isinstance(given, tuple) else ()
        return [name for name in section(project) if name.startswith(incomplete) and name not in taken]

    return complete


services = names_of(lambda project: project.dev)
commands = names_of(lambda project: project.commands)
variables = names_of(lambda project: project.variables)
environments = names_of(lambda project: project.environments)


def contexts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete with the contexts of the kubeconfig."""
    from innerloop.cli.options import kube_config
    from innerloop.errors import LoopError

    try:
        return sorted(name for name in kube_config().contexts if name.startswith(incomplete))
    except LoopError:
        return []
