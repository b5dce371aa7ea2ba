"""A document checked against the structs of ``format``: every problem with its place, not only the first."""

from __future__ import annotations

import re
import types
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from innerloop.config import nodes
from innerloop.config.nodes import Mapping, Node, Scalar, Sequence
from innerloop.config.problems import Problems, suggestion


def check(node: Node, kind: Any, problems: Problems, path: str = "") -> Any:
    """The value of ``node`` as ``kind`` (a struct, a type expression of ``format``).

    What does not fit goes to ``problems``; the result means something only when there are none.
    """
    options = _options(kind)
    if Any in options:
        return nodes.plain(node)
    if type(None) in options and nodes.is_null(node):
        return None
    if isinstance(node, Mapping):
        return _mapping(node, options, problems, path)
    if isinstance(node, Sequence):
        return _sequence(node, options, problems, path)
    return _scalar(node, options, problems, path)


def _options(kind: Any) -> dict[Any, Any]:
    """Alternatives of a type expression: origin (``str``, ``list``, a struct …) to the whole expression."""
    origin = get_origin(kind)
    if origin is Union or origin is types.UnionType:
        return {key: value for part in get_args(kind) for key, value in _options(part).items()}
    if origin is Annotated:
        inner = get_args(kind)[0]
        if get_origin(inner) in (Union, types.UnionType):
            return _options(inner)
        return dict.fromkeys(_options(inner), kind)
    return {origin or kind: kind}


def _mapping(node: Mapping, options: dict[Any, Any], problems: Problems, path: str) -> Any:
    for option, kind in options.items():
        if option is dict:
            key_kind, value_kind = get_args(_bare(kind))
            return _dictionary(node, key_kind, value_kind, problems, path)
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return _struct(node, option, problems, path)
    return _unfit(node, "a mapping", options, problems, path)


def _struct(node: Mapping, struct: type[msgspec.Struct], problems: Problems, path: str) -> Any:
    fields = _fields(struct)
    values: dict[str, Any] = {}
    for key, entry in node.entries.items():
        field = fields.get(key)
        if field is None:
            inside = f" in {path}" if path else ""
            problems.add(f"unknown key '{key}'{inside}", entry.where, hint=suggestion(key, fields))
        elif field.required or not nodes.is_null(entry.node):
            values[field.name] = check(entry.node, field.type, problems, _join(path, key))
    missing = [key for key, field in fields.items() if field.required and field.name not in values]
    for key in missing:
        problems.add(f"{path or 'the file'} lacks '{key}'", node.where)
    return None if missing else struct(**values)


@cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.encode_name: field for field in msgspec.structs.fields(struct)}


def _dictionary(node: Mapping, key_kind: Any, value_kind: Any, problems: Problems, path: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, entry in node.entries.items():
        _check_key(key, entry, key_kind, problems, path)
        values[key] = check(entry.node, value_kind, problems, _join(path, key))
    return values


def _check_key(key: str, entry: nodes.Entry, kind: Any, problems: Problems, path: str) -> None:
    if get_origin(kind) is Literal:
        known = get_args(kind)
        if key not in known:
            problems.add(f"unknown key '{key}' in {path}", entry.where, hint=suggestion(key, known))
        return
    limits = _limits(kind)
    if limits.pattern and not re.search(limits.pattern, key):
        problems.add(f"'{key}' is no valid name in {path}", entry.where, hint=_allowed(limits))


def _sequence(node: Sequence, options: dict[Any, Any], problems: Problems, path: str) -> Any:
    if list not in options:
        return _unfit(node, "a list", options, problems, path)
    (item_kind,) = get_args(_bare(options[list]))
    return [check(item, item_kind, problems, _join(path, str(number))) for number, item in enumerate(node.items)]


def _scalar(node: Scalar, options: dict[Any, Any], problems: Problems, path: str) -> Any:
    if Literal in options:
        known = get_args(_bare(options[Literal]))
        if node.text not in known:
            problems.add(f"'{node.text}' is no valid {path}", node.where, hint=suggestion(node.text, known))
        return node.text
    value = node.value
    if bool in options and isinstance(value, bool):
        return value
    if int in options and (number := _integer(value, text_wanted=str in options)) is not None:
        limits = _limits(options[int])
        if (limits.ge is not None and number < limits.ge) or (limits.le is not None and number > limits.le):
            problems.add(f"{path} must be from {limits.ge} to {limits.le}, not {number}", node.where)
        return number
    if str in options and value is not None:
        limits = _limits(options[str])
        if limits.pattern and not re.search(limits.pattern, node.text):
            problems.add(f"'{node.text}' is no valid {path}", node.where, hint=_allowed(limits))
        return node.text
    return _unfit(node, _name(value), options, problems, path)


def _integer(value: object, *, text_wanted: bool) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    # "${PORT}" in quotes is text, and still a number where only a number can be meant
    if isinstance(value, str) and not text_wanted and value.isdecimal():
        return int(value)
    return None


def _unfit(node: Node, got: str, options: dict[Any, Any], problems: Problems, path: str) -> None:
    wanted = " or ".join(
        dict.fromkeys(_WORDS.get(option, "a mapping") for option in options if option is not type(None))
    )
    problems.add(f"{path or 'the file'} must be {wanted}, not {got}", node.where)


_WORDS = {str: "text", Literal: "text", bool: "true or false", int: "a whole number", list: "a list"}


def _name(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true or false"
    return "text" if isinstance(value, str) else "a number"


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _limits(kind: Any) -> msgspec.Meta:
    if get_origin(kind) is Annotated:
        for extra in get_args(kind)[1:]:
            if isinstance(extra, msgspec.Meta):
                return extra
    return msgspec.Meta()


def _allowed(limits: msgspec.Meta) -> str:
    return f"allowed: {limits.description}" if limits.description else f"it must match {limits.pattern}"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
