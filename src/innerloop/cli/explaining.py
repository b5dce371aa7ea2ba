"""Explanations of variables as text and as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from innerloop.cli.options import ProjectOptions, environments_of, load_environment, load_project
from innerloop.errors import LoopError

if TYPE_CHECKING:
    from innerloop.errors import Location
    from innerloop.project import Origin, Project, Variable
    from innerloop.render.explaining import Explained, Explanation

SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|KEY", re.IGNORECASE)
"""Names of variables whose values are masked."""
MASK = "***"
LAPTOP = "laptop"
"""How the project without an environment is called in text."""


def one_variable(variable: Variable, output: str) -> str:
    """What is known of one variable, in the environment that it was asked for."""
    if output == "json":
        return msgspec.json.encode(variable).decode()
    lines = [f"{variable.name}={variable.value}", f"  from {_origin(variable.origin)}"]
    lines += [f"  overrides {value!r} from {_origin(origin)}" for origin, value in variable.overridden]
    return "\n".join(lines)


def all_variables(options: ProjectOptions, output: str) -> str:
    """Every variable in every environment (or in that of ``--env``); secrets are masked."""
    from innerloop.render.explaining import explain

    explanation = explain([(name, _loaded(options, name)) for name in _environments(options)])
    if output == "json":
        return msgspec.json.format(msgspec.json.encode(_as_data(explanation)), indent=2).decode()
    return "\n".join(_lines(explanation))


def _environments(options: ProjectOptions) -> list[str | None]:
    return [None, *environments_of(options)] if options.env is None else [options.env]


def _loaded(options: ProjectOptions, name: str | None) -> Project | LoopError:
    try:
        return load_project(options) if name is None else load_environment(options, name)
    except LoopError as error:
        # what is wrong in one environment must not hide the others
        return error


def _lines(explanation: Explanation) -> Iterator[str]:
    from innerloop.render.explaining import names

    environments = explanation.environments
    width = max(len(_title(one)) for one in environments)
    for name in names(environments):
        yield name
        for one in environments:
            if name in one.variables:
                yield f"  {_title(one):<{width}}  {_told(one.variables[name])}"
    for one in environments:
        if one.problem is not None:
            yield f"{_title(one)} cannot be read: {one.problem}"
            yield from (f"  {line}" for line in (one.problem.detail or "").splitlines())
            yield from [f"  {one.problem.hint}"] if one.problem.hint else []
    if explanation.unused:
        yield f"declared and not used: {', '.join(explanation.unused)}"
    for missing in explanation.undeclared:
        yield f"{missing.where}: ${{{missing.name}}} is used and not declared{_in_brackets(missing.hint)}"


def _told(variable: Variable) -> str:
    weaker = "".join(
        f", over {_value(variable, value)} from {_origin(origin)}" for origin, value in variable.overridden
    )
    return f"{_value(variable, variable.value)} from {_origin(variable.origin)}{weaker}"


def _as_data(explanation: Explanation) -> dict[str, Any]:
    return {
        "environments": [
            {
                "name": one.environment,
                "variables": {name: _variable(variable) for name, variable in one.variables.items()},
                "problem": str(one.problem) if one.problem else None,
            }
            for one in explanation.environments
        ],
        "unused": explanation.unused,
        "undeclared": [{"name": one.name, "where": str(one.where), "hint": one.hint} for one in explanation.undeclared],
    }


def _variable(variable: Variable) -> dict[str, Any]:
    weaker = [
        {"value": _shown(variable, value), "from": origin.kind, "where": _where(origin.where)}
        for origin, value in variable.overridden
    ]
    return {
        "value": _shown(variable, variable.value),
        "from": variable.origin.kind,
        "where": _where(variable.origin.where),
        "overrides": weaker,
    }


def _value(variable: Variable, value: str) -> str:
    return MASK if SECRET.search(variable.name) else repr(value)


def _shown(variable: Variable, value: str) -> str:
    return MASK if SECRET.search(variable.name) else value


def _where(where: Location | None) -> str | None:
    return str(where) if where else None


def _title(one: Explained) -> str:
    return one.environment or LAPTOP


def _in_brackets(hint: str) -> str:
    return f" ({hint})" if hint else ""


def _origin(origin: Origin) -> str:
    if origin.where is not None:
        suffix = " (default)" if origin.kind == "default" else ""
        return f"{origin.where.file}:{origin.where.line}{suffix}"
    return {"process": "the process environment", "set": "--set", "built-in": "innerloop itself"}[origin.kind]
