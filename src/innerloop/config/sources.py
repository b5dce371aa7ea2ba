"""Where values come from, weakest first: ``loop.yaml``, the environment's file or ``.env``, the process, ``--set``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

from innerloop.config import dotenv, nodes
from innerloop.config.files import read, shown
from innerloop.config.nodes import Scalar
from innerloop.config.problems import suggestion
from innerloop.config.variables import BUILT_IN, Definition
from innerloop.errors import Location, LoopError
from innerloop.project import Origin

_REFERENCE = re.compile(r"(?<!\$)\$\{(\w+)\}")

Definitions = dict[str, list[Definition]]
"""By name, strongest first; empty where no source has a value."""


def collect(declared: nodes.Mapping | None, file: Path | None, given: Mapping[str, str]) -> Definitions:
    """What the sources say on the variables that ``declared`` names.

    ``file`` is the ``.env`` or the environment's file, None for neither. Raises LoopError for a name in ``given``
    (``--set``) that is not declared, and for what is wrong in the file.
    """
    entries = declared.entries if declared else {}
    for name in BUILT_IN:
        if name in entries:
            raise LoopError(f"{name} is built in and cannot be declared", where=entries[name].where)
    assigned = _from_file(file, entries) if file else {}
    _check_given(given, entries)
    return {
        name: [
            *_given(given.get(name), "set"),
            *_given(os.environ.get(name), "process"),
            *([assigned[name]] if name in assigned else []),
            *_default(entry.node),
        ]
        for name, entry in entries.items()
    }


def built_in(value: str) -> Definition:
    return Definition(Scalar(value, Location("")), Origin(kind="built-in"))


def _given(value: str | None, kind: Literal["set", "process"]) -> list[Definition]:
    return [] if value is None else [Definition(Scalar(value, Location("")), Origin(kind=kind))]


def _default(node: nodes.Node) -> list[Definition]:
    if not isinstance(node, Scalar) or nodes.is_null(node):
        return []
    return [Definition(node, Origin(kind="default", where=node.where), literal=False)]


def _from_file(file: Path, declared: Mapping[str, object]) -> dict[str, Definition]:
    """Assignments of a file. Names of its own that the project does not declare serve inside the file."""
    own: dict[str, str] = {}
    found: dict[str, Definition] = {}
    for name, (scalar, literal) in dotenv.parse(read(file), shown(file)).items():
        if not literal:
            scalar = msgspec.structs.replace(scalar, text=_REFERENCE.sub(partial(_own, own), scalar.text))
        if name in declared:
            found[name] = Definition(scalar, Origin(kind="file", where=scalar.where), literal)
        else:
            own[name] = scalar.text
    return found


def _own(values: Mapping[str, str], match: re.Match[str]) -> str:
    return values.get(match[1], match[0])


def _check_given(given: Mapping[str, str], declared: Mapping[str, object]) -> None:
    for name in given:
        if name in BUILT_IN:
            raise LoopError(f"{name} cannot be set", hint="use --context, --namespace or --env")
        if name not in declared:
            raise LoopError(f"{name} is given a value, but is not in variables:", hint=suggestion(name, declared))
