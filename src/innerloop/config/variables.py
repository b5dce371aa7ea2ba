"""``${NAME}``: where values come from and how they are put in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from innerloop.config.nodes import Scalar
from innerloop.config.problems import Problems, suggestion
from innerloop.errors import Location, LoopError
from innerloop.project import Origin, Variable

BUILT_IN = ("LOOP_CONTEXT", "LOOP_NAMESPACE", "LOOP_ENVIRONMENT")

REFERENCE = re.compile(r"\$\$\{|\$\{([^}\n]*)\}?")
"""``${NAME}``, and ``$${`` for the text itself."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Definition(NamedTuple):
    """One source's word on a variable."""

    scalar: Scalar
    origin: Origin
    literal: bool = True
    """Whether ``${NAME}`` in it is just text."""


def substitute(text: str, variables: Mapping[str, Variable], where: Location) -> str:
    """``text`` with every ``${NAME}`` replaced and ``$${`` turned into ``${``; ``where`` is where the text begins.

    Raises LoopError with the place of a name that is not declared, or of what is no name at all.
    """
    values = {name: variable.value for name, variable in variables.items()}
    return replace(text, values.__getitem__, values, lambda index: _advance(where, text, index))


def replace(
    text: str, value: Callable[[str], str], names: Mapping[str, object], place: Callable[[int], Location]
) -> str:
    """As ``substitute``, for values that are only known by asking and places that are found by index."""

    def one(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name = match[1]
        if not match[0].endswith("}") or not _NAME.fullmatch(name):
            where = place(match.start())
            raise LoopError(f"'{match[0]}' names no variable", where=where, hint="write $${ for the text ${")
        if name not in names:
            hint = suggestion(name, names)
            detail = f"Only names of variables: can be used; $${{{name}}} is the text itself."
            raise LoopError(f"undefined variable ${{{name}}}", where=place(match.start()), detail=detail, hint=hint)
        return value(name)

    return REFERENCE.sub(one, text) if "${" in text else text


def occurrences(text: str, where: Location) -> list[tuple[str, Location]]:
    """Names of variables that a text uses, each with its place; ``where`` is where the text begins."""
    return [
        (match[1], _advance(where, text, match.start())) for match in REFERENCE.finditer(text) if match[1] is not None
    ]


def resolve(
    definitions: Mapping[str, Sequence[Definition]], missing: Callable[[str], LoopError], problems: Problems
) -> dict[str, Variable]:
    """The variables from what each source says, strongest source first.

    Names without any definition go to ``problems`` by way of ``missing``, as do cycles and undefined names.
    """
    resolver = _Resolver(definitions)
    found: dict[str, Variable] = {}
    for name, candidates in definitions.items():
        if not candidates:
            problems.append(missing(name))
            continue
        try:
            value = resolver.value(name)
        except LoopError as error:
            problems.append(error)
            continue
        weaker = tuple((weak.origin, weak.scalar.text) for weak in candidates[1:])
        found[name] = Variable(name=name, value=value, origin=candidates[0].origin, overridden=weaker)
    return found


class _Resolver:
    def __init__(self, definitions: Mapping[str, Sequence[Definition]]) -> None:
        self._definitions = definitions
        self._values: dict[str, str] = {}
        self._asked: list[str] = []

    def value(self, name: str) -> str:
        if name in self._values:
            return self._values[name]
        if not self._definitions[name]:
            # told once, as missing
            return ""
        strongest = self._definitions[name][0]
        if name in self._asked:
            circle = " → ".join([*self._asked[self._asked.index(name) :], name])
            raise LoopError(f"variables refer to each other in a circle: {circle}", where=strongest.scalar.where)
        if strongest.literal:
            return strongest.scalar.text
        self._asked.append(name)
        try:
            scalar = strongest.scalar
            self._values[name] = replace(scalar.text, self.value, self._definitions, scalar.place)
        finally:
            self._asked.pop()
        return self._values[name]


def _advance(where: Location, text: str, index: int) -> Location:
    before = text[:index]
    lines = before.count("\n")
    column = index - before.rfind("\n") if lines else where.column + index
    return Location(where.file, where.line + lines, column)
