"""What was changed in an object, kept so that it can be undone exactly: also where others changed it meanwhile.

A change is about the topmost key that differs, so what a change had to create (``spec.syncPolicy``) goes with it. Lists
are compared as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

Object = dict[str, Any]


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    path: tuple[str, ...]
    before: Any = msgspec.UNSET
    """UNSET where the key was not there."""
    after: Any = msgspec.UNSET
    """UNSET where the key was removed."""


def changes(before: Object, after: Object) -> tuple[Change, ...]:
    """What makes ``after`` of ``before``, in the order of the keys."""
    return tuple(_changes((), before, after))


def _changes(path: tuple[str, ...], before: Object, after: Object) -> Iterable[Change]:
    for key in sorted({*before, *after}):
        old, new = before.get(key, msgspec.UNSET), after.get(key, msgspec.UNSET)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _changes((*path, key), old, new)
        elif not _same(old, new):
            yield Change((*path, key), old, new)


def undone(current: Object, made: Iterable[Change]) -> Object:
    """A copy of ``current`` without the changes; what somebody else has changed since then stays theirs.

    Of a list and of an object that were added to, only what was added goes.
    """
    result = current
    for change in made:
        result = _with(result, change.path, _undone(_get(current, change.path), change.before, change.after))
    return result


def _undone(now: Any, before: Any, after: Any) -> Any:
    if _same(now, after):
        return before
    if isinstance(now, list) and isinstance(after, list):
        old = before if isinstance(before, list) else []
        added = [item for item in after if item not in old]
        taken = [item for item in old if item not in after]
        kept = [item for item in now if item not in added]
        left = [*kept, *(item for item in taken if item not in kept)]
        return left if left or isinstance(before, list) else before
    if isinstance(now, dict) and isinstance(after, dict):
        rest = undone(now, changes(before if isinstance(before, dict) else {}, after))
        return rest if rest or isinstance(before, dict) else before
    return now


def json_patch(made: Sequence[Change]) -> list[Object]:
    """A JSON patch (RFC 6902) that makes the changes."""
    operations: list[Object] = []
    for change, pointer in zip(made, pointers(made), strict=True):
        if change.after is msgspec.UNSET:
            operations.append({"op": "remove", "path": pointer})
        else:
            operation = "add" if change.before is msgspec.UNSET else "replace"
            operations.append({"op": operation, "path": pointer, "value": change.after})
    return operations


def pointers(made: Iterable[Change]) -> tuple[str, ...]:
    """The changed places as JSON pointers (RFC 6901)."""
    return tuple("/" + "/".join(key.replace("~", "~0").replace("/", "~1") for key in one.path) for one in made)


def _same(one: Any, other: Any) -> bool:
    if one is msgspec.UNSET or other is msgspec.UNSET:
        return one is other
    # True equals 1 in Python, and not in JSON
    return msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")


def _get(object: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(object, dict) or key not in object:
            return msgspec.UNSET
        object = object[key]
    return object


def _with(object: Any, path: tuple[str, ...], value: Any) -> Any:
    """A copy in which ``path`` has ``value``.

    Surroundings that are gone are made anew for what has a value: we had taken that out, and its owner may drop what is
    empty without it.
    """
    key, *rest = path
    if not isinstance(object, dict) or (rest and key not in object and value is msgspec.UNSET):
        return object
    if rest:
        return {**object, key: _with(object.get(key, {}), tuple(rest), value)}
    if value is msgspec.UNSET:
        return {name: kept for name, kept in object.items() if name != key}
    return {**object, key: value}
