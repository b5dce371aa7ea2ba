"""Every variable's value in every environment, with where it comes from, and what is wrong with their use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from innerloop.errors import LoopError
from innerloop.project import Project, Variable
from innerloop.render.usage import Undeclared, undeclared, unused


class Explained(NamedTuple):
    """One environment."""

    environment: str | None
    """None: the laptop."""
    variables: dict[str, Variable]
    problem: LoopError | None
    """Why there are none."""


class Explanation(NamedTuple):
    environments: tuple[Explained, ...]
    unused: tuple[str, ...]
    undeclared: tuple[Undeclared, ...]


def explain(loaded: Iterable[tuple[str | None, Project | LoopError]]) -> Explanation:
    """From the project, or why it could not be read, by environment."""
    loaded = list(loaded)
    projects = [project for _, project in loaded if isinstance(project, Project)]
    found = dict.fromkeys(one for project in projects for one in undeclared(project))
    return Explanation(
        environments=tuple(_explained(name, project) for name, project in loaded),
        unused=tuple(unused(projects)),
        undeclared=tuple(sorted(found, key=lambda one: one.where)),
    )


def names(environments: Sequence[Explained]) -> list[str]:
    """All variables, in the order of their declaration."""
    return list(dict.fromkeys(name for one in environments for name in one.variables))


def _explained(name: str | None, project: Project | LoopError) -> Explained:
    if isinstance(project, LoopError):
        return Explained(name, {}, project)
    return Explained(name, project.variables, None)
