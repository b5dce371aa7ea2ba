"""What differs between two sets of objects, told per object.

Noise is left out: what a cluster writes into objects by itself, and what kubectl and we keep there to remember. Values
of Secrets are compared and never shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from innerloop.config import yaml
from innerloop.deploy import sharing
from innerloop.manifest import Manifest, ObjectKey

Object = dict[str, Any]

CONTEXT_LINES = 3
HIDDEN = "***"
"""In place of a Secret's value that is the same on both sides, or only on one."""

SERVERS_OWN = frozenset({"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"})
"""Fields of ``metadata`` that no manifest decides."""
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""What ``kubectl apply`` remembers: the whole object once more, of a Secret with its values."""


class Difference(NamedTuple):
    """One object that is not the same on both sides."""

    key: ObjectKey
    kind: Literal["added", "changed", "removed"]
    text: str
    """Unified diff of the two YAML documents, without the values of Secrets and without lines that name files."""


def compare(before: Iterable[Manifest], after: Iterable[Manifest]) -> list[Difference]:
    """What became of the objects of ``before``; sorted by namespace, kind and name.

    Objects are the same by group, kind, namespace and name: another version of their API is a change.
    """
    old, new = _by_identity(before), _by_identity(after)
    return [
        difference
        for identity in sorted(old.keys() | new.keys())
        if (difference := _difference(old.get(identity), new.get(identity)))
    ]


def _by_identity(manifests: Iterable[Manifest]) -> dict[tuple[str, ...], Manifest]:
    return {(one.namespace, one.kind, one.name, one.key.group): one for one in manifests}


def _difference(old: Manifest | None, new: Manifest | None) -> Difference | None:
    before, after = (_without_noise(one.object) if one else None for one in (old, new))
    # no `==`: that takes 1 for true
    if before and after and _encoded(before) == _encoded(after):
        return None
    shown = "\n".join(_unified(_masked(before, after, "before"), _masked(after, before, "after")))
    if new is None:
        assert old is not None
        return Difference(old.key, "removed", shown)
    return Difference(new.key, "changed" if old else "added", shown)


def _encoded(object: Object) -> bytes:
    return msgspec.json.encode(object, order="sorted")


def _unified(before: Object | None, after: Object | None) -> Iterator[str]:
    old, new = (yaml.dump_all([_sorted(one)]).splitlines() if one else [] for one in (before, after))
    hunks = difflib.unified_diff(old, new, n=CONTEXT_LINES, lineterm="")
    return (line for number, line in enumerate(hunks) if number >= 2)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _without_noise(object: Object) -> Object:
    """A copy that has only what manifests decide."""
    metadata = {name: value for name, value in object["metadata"].items() if name not in SERVERS_OWN}
    for field in ("labels", "annotations"):
        values = metadata.pop(field, None) or {}
        kept = {name: value for name, value in values.items() if not _is_bookkeeping(name)}
        if kept:
            metadata[field] = kept
    return {name: value for name, value in object.items() if name != "status"} | {"metadata": metadata}


def _is_bookkeeping(name: str) -> bool:
    return name == LAST_APPLIED or name.startswith(sharing.PREFIX)


def _masked(object: Object | None, other: Object | None, side: str) -> Object | None:
    """A Secret without its values, that of ``side`` where the two differ; any other object as it is."""
    if object is None or (object.get("apiVersion"), object.get("kind")) != ("v1", "Secret"):
        return object
    masked = {
        field: _masked_values(object[field], (other or {}).get(field), side)
        for field in ("data", "stringData")
        if object.get(field)
    }
    return object | masked


def _masked_values(values: Any, others: Any, side: str) -> Any:
    if not isinstance(values, Mapping):
        return HIDDEN
    others = others if isinstance(others, Mapping) else {}
    return {
        name: HIDDEN if name not in others or others[name] == value else f"{HIDDEN} ({side})"
        for name, value in values.items()
    }
