"""What Kubernetes' own APIs accept, by minor version, from the OpenAPI documents that Kubernetes publishes.

``native/schemas/make.py`` makes the data from its sources (Apache License 2.0, The Kubernetes Authors): a line of JSON
for each kind, for each type and for each API version that goes or went, with the first and the last minor version that
it holds for.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from innerloop.errors import Location, LoopError
from innerloop.gitops.gates.validation import Schema

DATA = Path(__file__).with_name("kubernetes.jsonl")
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

KindKey = tuple[str, str]
"""API version and kind."""


class Kind(NamedTuple):
    """What is known of a kind of objects."""

    schema: Schema
    namespaced: bool


class Going(NamedTuple):
    """An API version that is deprecated, or gone."""

    deprecated: int
    """Minor version since which it is."""
    removed: int
    """The first minor version without it; 0 where none is named yet."""
    replacement: str
    """``apps/v1 Deployment``; empty where there is none."""


class Kubernetes(NamedTuple):
    """One minor version."""

    minor: int
    kinds: dict[KindKey, Kind]
    definitions: dict[str, Schema]
    """By the names that ``$ref`` uses."""
    going: dict[KindKey, Going]
    others: dict[KindKey, tuple[int, int]]
    """What other versions have, and which: the first and the last minor version."""

    def __str__(self) -> str:
        return f"Kubernetes 1.{self.minor}"


class _KindLine(msgspec.Struct, tag="kind", frozen=True):
    api: str
    kind: str
    first: int
    last: int
    namespaced: bool
    schema: str


class _TypeLine(msgspec.Struct, tag="type", frozen=True):
    name: str
    first: int
    last: int
    schema: dict[str, Any]


class _GoingLine(msgspec.Struct, tag="going", frozen=True):
    api: str
    kind: str
    deprecated: int
    removed: int
    replacement: str


class _VersionsLine(msgspec.Struct, tag="versions", frozen=True):
    first: int
    last: int


_Line = _KindLine | _TypeLine | _GoingLine | _VersionsLine


@functools.cache
def known(version: str | None, where: Location | None = None) -> Kubernetes:
    """A version as ``gitops.kubernetes`` names it (``1.36``, ``v1.36.3``); None: the newest.

    Raises LoopError for one that is unknown here.
    """
    lines = msgspec.json.Decoder(_Line).decode_lines(DATA.read_bytes())
    versions = next(line for line in lines if isinstance(line, _VersionsLine))
    minor = versions.last if version is None else _minor(version, versions, where)
    kinds = [line for line in lines if isinstance(line, _KindLine)]
    return Kubernetes(
        minor,
        {
            (line.api, line.kind): Kind({"$ref": line.schema}, line.namespaced)
            for line in kinds
            if line.first <= minor <= line.last
        },
        {line.name: line.schema for line in lines if isinstance(line, _TypeLine) and line.first <= minor <= line.last},
        {
            (line.api, line.kind): Going(line.deprecated, line.removed, line.replacement)
            for line in lines
            if isinstance(line, _GoingLine)
        },
        {(line.api, line.kind): (line.first, line.last) for line in kinds if not line.first <= minor <= line.last},
    )


def _minor(version: str, versions: _VersionsLine, where: Location | None) -> int:
    read = re.fullmatch(r"v?1\.(\d+)(\.\d+)?([-+].*)?", version.strip())
    if read and versions.first <= int(read[1]) <= versions.last:
        return int(read[1])
    range_known = f"1.{versions.first} to 1.{versions.last} are known"
    raise LoopError(
        f"no schemas of Kubernetes '{version}'", where=where, hint=f"{range_known}; without it the newest counts"
    )
