"""What differs between two sets of objects, told per object."""

from __future__ import annotations

from typing import Literal, NamedTuple

from innerloop.manifest import ObjectKey


class Difference(NamedTuple):
    """One object that is not the same on both sides."""

    key: ObjectKey
    kind: Literal["added", "changed", "removed"]
    text: str
    """Unified diff of the two YAML documents, without the values of Secrets."""
