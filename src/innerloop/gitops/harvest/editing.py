"""Changing one place of a YAML text and nothing else: comments, quotes and line ends stay.

Places are nodes that libyaml composes, with their marks. Every edit gives the whole new text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import yaml

from innerloop.config import scalars
from innerloop.config.yaml_writing import dump_all

Node = Any
"""A ``yaml.ScalarNode``, ``MappingNode`` or ``SequenceNode``."""

_IN_FLOW = re.compile(r"[,\[\]{}]")


class Place(NamedTuple):
    """A node, and what leads to it in its document."""

    node: Node
    path: tuple[str | int, ...]
    """Keys and positions."""
    document: Node
    key: Node = None
    """Of the mapping's entry that the node is the value of."""
    parent: Node = None


def places(text: str) -> list[Place]:
    """Every node of every document; none where the text is no YAML (a template, a mistake that others tell)."""
    try:
        # a byte order mark is no part of what marks count
        composed = [] if text.startswith("\ufeff") else list(yaml.compose_all(text, yaml.CSafeLoader))
    except yaml.YAMLError:
        return []
    documents = [one for one in composed if one is not None]
    return [place for document in documents for place in _below(Place(document, (), document))]


def plain(node: Node, fill: Callable[[str], str] = str) -> Any:
    """What a node means to Kubernetes' tools; ``fill`` puts variables into the text of each scalar."""
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): plain(value, fill) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain(item, fill) for item in node.value]
    text = fill(node.value)
    return text if node.style else scalars.resolve(text)


def plain_or_quoted(new: str, old: str) -> str:
    """Text in place of an unquoted scalar ``old``, of the same type as far as it can be."""
    if "\n" in new or not new.isprintable():
        return json.dumps(new, ensure_ascii=False)
    was_text = isinstance(scalars.resolve(old), str)
    if not was_text and not isinstance(scalars.resolve(new), str) and new:
        # a number, a boolean: as another of these
        return new
    written = dump_all([new]).rstrip("\n")
    return json.dumps(new, ensure_ascii=False) if written[0] != '"' and _IN_FLOW.search(new) else written


def set_scalar(text: str, node: Node, new: str) -> str:
    """A scalar says ``new``, in the style that it has as far as that can say it, and of the type that it has."""
    start, end = node.start_mark.index, node.end_mark.index
    if node.style == "|":
        return text[:start] + _as_block(text, node, new) + text[end:]
    return text[:start] + _scalar(node, new) + text[end:]


def add_entry(text: str, mapping: Node, key: str, value: Any) -> str:
    """A mapping has one more entry, at its end."""
    if mapping.flow_style or not mapping.value:
        written = _writer(text)
        return _add_in_flow(text, mapping, f"{written(key)}: {written(value)}")
    column = mapping.value[0][0].start_mark.column
    return _add_lines(text, mapping, _block({key: value}, " " * column))


def add_item(text: str, sequence: Node, value: Any) -> str:
    """A list has one more item, at its end."""
    if sequence.flow_style or not sequence.value:
        return _add_in_flow(text, sequence, _writer(text)(value))
    return _add_lines(text, sequence, _block([value], " " * sequence.start_mark.column))


def replace_node(text: str, place: Place, value: Any) -> str:
    """An empty value (``{}``, ``[]``, null) is another; as a block below its key where that is possible."""
    start, end = place.node.start_mark.index, place.node.end_mark.index
    if place.key is None or getattr(place.parent, "flow_style", False):
        return text[:start] + _writer(text)(value) + text[end:]
    indent = " " * (place.key.start_mark.column + 2)
    head = text[: place.key.end_mark.index] + ":"
    body = _block(value, indent)
    return head + _newline(text) + body.replace("\n", _newline(text)).rstrip("\r\n") + text[end:]


def remove(text: str, place: Place) -> str:
    """Without an entry or item; what is empty then says so (``{}``, ``[]``)."""
    parent = place.parent
    if len(parent.value) == 1:
        return _emptied(text, parent, "{}" if isinstance(parent, yaml.MappingNode) else "[]")
    if parent.flow_style:
        return _without_in_flow(text, parent, place)
    start = place.node.start_mark.index
    begin = place.key.start_mark.index if place.key is not None else text.rfind("-", 0, start)
    line = text.rfind("\n", 0, begin) + 1
    after = _line_end(text, end_of(place.node))
    if text[line:begin].strip():
        # the first one of a list's item shares its line with the dash: the next one takes its place
        return text[:begin] + text[after:].lstrip(" ")
    return text[:line] + text[after:]


def end_of(node: Node) -> int:
    """Where the text of a node ends; a block's own mark stands behind the comments that follow it."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return end_of(last[1] if isinstance(node, yaml.MappingNode) else last)


def _below(place: Place) -> Iterator[Place]:
    yield place
    node = place.node
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _below(Place(value, (*place.path, str(key.value)), place.document, key, node))
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _below(Place(item, (*place.path, number), place.document, None, node))


def _scalar(node: Node, new: str) -> str:
    if node.style == '"':
        return json.dumps(new, ensure_ascii=False)
    if node.style == "'" and new.isprintable():
        return "'" + new.replace("'", "''") + "'"
    return plain_or_quoted(new, node.value)


def _as_block(text: str, node: Node, new: str) -> str:
    """A literal block again, at the indentation that it has."""
    body = text[node.start_mark.index : node.end_mark.index].splitlines()[1:]
    indents = [len(line) - len(line.lstrip(" ")) for line in body if line.strip()]
    indent = " " * (min(indents) if indents else node.start_mark.column + 2)
    written = dump_all([new])
    if not written.startswith("|"):
        return json.dumps(new, ensure_ascii=False) + _newline(text)
    head, *lines = written.removesuffix("\n").split("\n")
    return _newline(text).join([head, *(indent + line[2:] if line else "" for line in lines)]) + _newline(text)


def _block(value: Any, indent: str) -> str:
    lines = dump_all([value]).splitlines(keepends=True)
    return "".join(indent + line if line.strip() else line for line in lines)


def _add_lines(text: str, node: Node, lines: str) -> str:
    at = _line_end(text, end_of(node))
    before = text[:at]
    if before and not before.endswith("\n"):
        before += _newline(text)
    return before + lines.replace("\n", _newline(text)) + text[at:]


def _add_in_flow(text: str, node: Node, added: str) -> str:
    if not node.value:
        return text[: node.start_mark.index + 1] + added + text[node.end_mark.index - 1 :]
    at = end_of(node.value[-1][1] if isinstance(node, yaml.MappingNode) else node.value[-1])
    return f"{text[:at]}, {added}{text[at:]}"


def _without_in_flow(text: str, parent: Node, place: Place) -> str:
    pairs = [one if isinstance(one, tuple) else (one, one) for one in parent.value]
    number = next(n for n, (_, value) in enumerate(pairs) if value is place.node)
    if number + 1 < len(pairs):
        return text[: pairs[number][0].start_mark.index] + text[pairs[number + 1][0].start_mark.index :]
    return text[: end_of(pairs[number - 1][1])] + text[end_of(place.node) :]


def _emptied(text: str, parent: Node, brackets: str) -> str:
    """A mapping or list that loses its only entry; a block begins on the line of its key, or on the next one."""
    start = parent.start_mark.index
    if parent.flow_style:
        return text[:start] + brackets + text[parent.end_mark.index :]
    line = text.rfind("\n", 0, start)
    alone = not text[line + 1 : start].strip() and line > 0
    head = text[:line].removesuffix("\r") + " " if alone else text[:start]
    return head + brackets + text[end_of(parent) :]


def _writer(text: str) -> Callable[[Any], str]:
    """How values are written in flow style: as JSON where all of the text is."""
    return json.dumps if text.lstrip()[:1] in ("{", "[") else in_flow


def in_flow(value: Any) -> str:
    """In flow style, in JSON's quotes where plain text would not do."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{in_flow(str(key))}: {in_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(in_flow, value)) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    written = dump_all([value]).rstrip("\n")
    return json.dumps(value, ensure_ascii=False) if "\n" in value or _IN_FLOW.search(value) else written


def _line_end(text: str, index: int) -> int:
    """Behind the line that has this place, or the place itself where it begins a line already."""
    if index and text[index - 1] == "\n":
        return index
    end = text.find("\n", index)
    return len(text) if end < 0 else end + 1


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
