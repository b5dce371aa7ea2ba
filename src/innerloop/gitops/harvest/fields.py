"""Objects as flat fields: a path to each scalar, the same for the same field whatever stands before it in a list."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, NamedTuple, TypeVar

K = TypeVar("K")


class Item(NamedTuple):
    """A step into a list by what identifies the item there: a container's name, a port's number."""

    key: str
    value: str | int


Step = str | int | Item
"""A key of a mapping, a position in a list, or an item of a list."""
Path = tuple[Step, ...]


class Absence(Enum):
    """In place of a value."""

    ABSENT = "absent"


ABSENT: Literal[Absence.ABSENT] = Absence.ABSENT

_KEYS = {"ports": ("containerPort", "port"), "volumeMounts": ("mountPath",), "volumeDevices": ("devicePath",)}
"""What identifies items of lists (``x-kubernetes-list-map-keys``, without the protocol) where it is not ``name``."""


def flatten(node: Any, path: Path = ()) -> dict[Path, Any]:
    """Every scalar, and every empty mapping and list, by its path."""
    found: dict[Path, Any] = {}
    _collect(node, path, found)
    return found


def differences(before: Mapping[K, Any], after: Mapping[K, Any]) -> dict[K, Any]:
    """What is another value after, ABSENT for what is gone."""
    changed = {path: value for path, value in after.items() if path not in before or not same(before[path], value)}
    return changed | dict.fromkeys((path for path in before if path not in after), ABSENT)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same type: 1 is not true."""
    return type(one) is type(other) and bool(one == other)


def find(node: Any, path: Path) -> Any:
    """What is at a path, ABSENT where there is nothing."""
    for step in path:
        node = _child(node, step)
        if node is ABSENT:
            break
    return node


def steps(parent: Step | None, items: list[Any]) -> list[Step]:
    """The step to each item of the list that stands under ``parent``."""
    for key in _KEYS.get(parent, ("name",)) if isinstance(parent, str) else ("name",):
        values = [item.get(key) if isinstance(item, dict) else None for item in items]
        if all(isinstance(value, (str, int)) for value in values) and len(set(values)) == len(values):
            return [Item(key, value) for value in values if value is not None]
    return list(range(len(items)))


def nested(leaves: Mapping[Path, Any], depth: int) -> Any:
    """The tree that has these leaves, whose paths all begin with the same ``depth`` steps, which are left out."""
    (only, *others) = leaves
    if len(only) == depth and not others:
        return leaves[only]
    groups: dict[Step, dict[Path, Any]] = {}
    for path, value in leaves.items():
        groups.setdefault(path[depth], {})[path] = value
    children = {step: nested(group, depth + 1) for step, group in groups.items()}
    if all(isinstance(step, str) for step in children):
        return children
    return [_identified(step, child) for step, child in children.items()]


def with_field(node: Any, path: Path, value: Any) -> Any:
    """A copy in which a field has a value; what leads to it is made where it is missing."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        mapping = node if isinstance(node, dict) else {}
        return mapping | {step: with_field(mapping.get(step, ABSENT), rest, value)}
    items = list(node) if isinstance(node, list) else []
    if isinstance(step, int):
        place = step if step < len(items) else None
        start: Any = ABSENT
    else:
        fitting = (n for n, item in enumerate(items) if isinstance(item, dict) and item.get(step.key) == step.value)
        place, start = next(fitting, None), {step.key: step.value}
    if place is None:
        return [*items, with_field(start, rest, value)]
    return [*items[:place], with_field(items[place], rest, value), *items[place + 1 :]]


def shown(path: Path) -> str:
    """For people: ``spec.template.spec.containers[web].env[TITLE].value``."""
    text = ""
    for step in path:
        if isinstance(step, str):
            text += f".{step}" if "." not in step else f"[{step}]"
        else:
            text += f"[{step.value if isinstance(step, Item) else step}]"
    return text.removeprefix(".")


def _identified(step: Step, child: Any) -> Any:
    if isinstance(step, Item) and isinstance(child, dict):
        return {step.key: step.value} | child
    return child


def _collect(node: Any, path: Path, found: dict[Path, Any]) -> None:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            _collect(value, (*path, str(key)), found)
    elif isinstance(node, list) and node:
        for step, item in zip(steps(path[-1] if path else None, node), node, strict=True):
            _collect(item, (*path, step), found)
    else:
        found[path] = node


def _child(node: Any, step: Step) -> Any:
    if isinstance(step, str):
        return node.get(step, ABSENT) if isinstance(node, dict) else ABSENT
    if not isinstance(node, list):
        return ABSENT
    if isinstance(step, Item):
        fitting = (item for item in node if isinstance(item, dict) and item.get(step.key) == step.value)
        return next(fitting, ABSENT)
    return node[step] if step < len(node) else ABSENT
