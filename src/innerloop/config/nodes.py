"""A YAML document as a tree that knows where each part stands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from innerloop.config import scalars
from innerloop.errors import Location, LoopError


class Scalar(msgspec.Struct, frozen=True, gc=False):
    """``text`` is the scalar as written; only an unquoted one (``plain``) can be anything else than text."""

    text: str
    where: Location
    plain: bool = False
    block: bool = False
    """Written as a block (``|``, ``>``): its text begins on the next line."""

    @property
    def value(self) -> scalars.Value:
        """What it means. Raises LoopError for infinite and NaN, which JSON cannot say."""
        if not self.plain:
            return self.text
        value = scalars.resolve(self.text)
        if isinstance(value, float) and not math.isfinite(value):
            raise LoopError(f"{self.text} cannot be a value here", where=self.where, hint="quote it to mean the text")
        return value

    def place(self, index: int) -> Location:
        """Where the character of ``text`` at ``index`` stands, as near as the style allows."""
        before = self.text[:index]
        if self.block:
            return Location(self.where.file, self.where.line + 1 + before.count("\n"))
        if "\n" in before:
            return self.where
        return self.where._replace(column=self.where.column + index + (not self.plain))


class Entry(NamedTuple):
    where: Location
    """Of the key."""
    node: Node


class Mapping(msgspec.Struct, frozen=True):
    entries: dict[str, Entry]
    where: Location

    def get(self, key: str) -> Node | None:
        """The node of a key; None when it is missing or null."""
        entry = self.entries.get(key)
        return None if entry is None or is_null(entry.node) else entry.node


class Sequence(msgspec.Struct, frozen=True):
    items: list[Node]
    where: Location


Node = Scalar | Mapping | Sequence


def is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.plain and scalars.resolve(node.text) is None


def plain(node: Node) -> Any:
    """The tree as dicts, lists and scalars; nothing in it is shared."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Mapping):
        return {key: plain(entry.node) for key, entry in node.entries.items()}
    return [plain(item) for item in node.items]


def find(node: Node | None, *path: str) -> Node | None:
    """The node at a path of keys, None when it is missing or null."""
    for key in path:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def place(tree: Mapping, *path: str) -> Location:
    """Where the key at a path stands, or its nearest ancestor that exists."""
    node: Node = tree
    where = tree.where
    for key in path:
        entry = node.entries.get(key) if isinstance(node, Mapping) else None
        if entry is None:
            break
        where, node = entry.where, entry.node
    return where


def merge(base: Mapping, patch: Mapping) -> Mapping:
    """``patch`` over ``base``: mappings merge, lists and scalars replace, null removes."""
    entries = dict(base.entries)
    for key, entry in patch.entries.items():
        old = entries[key].node if key in entries else None
        if is_null(entry.node):
            entries.pop(key, None)
        elif isinstance(old, Mapping) and isinstance(entry.node, Mapping):
            entries[key] = Entry(entry.where, merge(old, entry.node))
        else:
            entries[key] = entry
    return Mapping(entries, base.where)


def replace_text(node: Node, change: Callable[[Scalar], str]) -> Node:
    """The tree with ``change`` applied to the text of every scalar that has a ``$``."""
    if isinstance(node, Scalar):
        return msgspec.structs.replace(node, text=change(node)) if "$" in node.text else node
    if isinstance(node, Mapping):
        entries = {key: Entry(entry.where, replace_text(entry.node, change)) for key, entry in node.entries.items()}
        return Mapping(entries, node.where)
    return Sequence([replace_text(item, change) for item in node.items], node.where)


def walk(node: Node, path: str = "") -> Iterator[tuple[str, Location]]:
    """Dotted path and place of everything in the tree: keys of mappings, items of lists by number."""
    if isinstance(node, Mapping):
        for key, entry in node.entries.items():
            inner = f"{path}.{key}" if path else key
            yield inner, entry.where
            yield from walk(entry.node, inner)
    elif isinstance(node, Sequence):
        for number, item in enumerate(node.items):
            inner = f"{path}.{number}" if path else str(number)
            yield inner, item.where
            yield from walk(item, inner)
