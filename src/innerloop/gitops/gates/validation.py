"""A value against an OpenAPI schema, as strictly as an API server with ``fieldValidation=Strict`` decodes it.

The schemas are Kubernetes' own (trimmed, see ``kubernetes``) and those of CustomResourceDefinitions: structural ones,
in which a mapping has the fields that it names and no others. Not evaluated are CEL rules
(``x-kubernetes-validations``) and formats other than those of Kubernetes' own types.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from innerloop.config.problems import suggestion

Schema = Mapping[str, Any]
Path = tuple[str | int, ...]

_QUANTITY = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}
_EMBEDDED = ("apiVersion", "kind", "metadata")


class Problem(NamedTuple):
    """What is wrong with a field; the value itself is never told, it may be secret."""

    path: Path
    message: str
    hint: str = ""


def validate(
    value: Any, schema: Schema, definitions: Mapping[str, Schema], *, encrypted: bool = False
) -> list[Problem]:
    """All problems of a value; ``definitions`` are what ``$ref`` names.

    In ``encrypted`` objects, text that SOPS encrypted stands for a value of any type.
    """
    found: list[Problem] = []
    _Validation(definitions, found, encrypted)(value, schema, (), False)
    return found


def shown(path: Path) -> str:
    """``spec.containers[0].image``; a key that has other characters as ``annotations["a/b"]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[\w-]+", part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


class _Validation:
    """One run: where ``$ref``s are found and problems go.

    ``native`` in its methods: the value is one of Kubernetes' own types, whose decoder takes null for nothing.
    """

    def __init__(
        self, definitions: Mapping[str, Schema], found: list[Problem], encrypted: bool, *, closed: bool = True
    ) -> None:
        self._definitions = definitions
        self._found = found
        self._encrypted = encrypted
        self._closed = closed

    def __call__(self, value: Any, schema: Schema, path: Path, native: bool) -> None:
        if (name := schema.get("$ref")) is not None:
            schema, native = self._definitions[name], True
        if value is None:
            if not native and not schema.get("nullable") and "type" in schema:
                self._add(path, f"must be {_word(schema)}, not empty")
            return
        if self._encrypted and isinstance(value, str) and value.startswith("ENC["):
            return
        if not _fits(value, schema):
            self._add(path, f"must be {_word(schema)}, not {_kind(value)}")
            return
        if isinstance(value, dict):
            self._mapping(value, schema, path, native)
        elif isinstance(value, list) and (items := schema.get("items")) is not None:
            for index, item in enumerate(value):
                self(item, items, (*path, index), native)
        if not native:
            self._limits(value, schema, path)
        elif "format" in schema:
            self._format(value, schema["format"], path)

    def _mapping(self, value: dict[str, Any], schema: Schema, path: Path, native: bool) -> None:
        fields: Mapping[str, Schema] = schema.get("properties") or {}
        others = schema.get("additionalProperties")
        embedded = schema.get("x-kubernetes-embedded-resource") is True
        for key, item in value.items():
            if key in fields:
                # null is as if the field were not there: for native types, and where a default takes its place
                if item is not None or not (native or "default" in fields[key]):
                    self(item, fields[key], (*path, key), native)
            elif isinstance(others, dict):
                self(item, others, (*path, key), native)
            elif self._closed and _closed(schema) and not (embedded and key in _EMBEDDED):
                self._add((*path, key), "unknown field", suggestion(key, fields) or "the mapping has no fields")
        # a status is the cluster's to fill in
        for key in schema.get("required") or () if path != ("status",) else ():
            field = fields.get(key, {})
            if value.get(key) is None and "default" not in field and not (key in value and field.get("nullable")):
                self._add((*path, key), "is missing")

    def _limits(self, value: Any, schema: Schema, path: Path) -> None:
        for message in _broken_limits(value, schema):
            self._add(path, message)
        for sub in schema.get("allOf") or ():
            self._found += self._problems(value, sub, path)
        for name, holds, message in _JUNCTORS:
            if name in schema and not holds([not self._problems(value, sub, path) for sub in schema[name]]):
                self._add(path, message)
        if "not" in schema and not self._problems(value, schema["not"], path):
            self._add(path, "is what the schema excludes")

    def _problems(self, value: Any, schema: Schema, path: Path) -> list[Problem]:
        """Problems with a part of a schema, which says nothing about fields that it does not name."""
        found: list[Problem] = []
        _Validation(self._definitions, found, self._encrypted, closed=False)(value, schema, path, False)
        return found

    def _format(self, value: Any, name: str, path: Path) -> None:
        if name == "byte" and isinstance(value, str) and not _is_base64(value):
            self._add(path, "is no base64", "plain text belongs into stringData" if path[:1] == ("data",) else "")
        elif name == "quantity" and isinstance(value, str) and not _QUANTITY.fullmatch(value):
            self._add(path, "is no quantity", "as 250m, 1.5, 128Mi, 2G")

    def _add(self, path: Path, message: str, hint: str = "") -> None:
        self._found.append(Problem(path, message, hint))


_JUNCTORS: tuple[tuple[str, Callable[[list[bool]], bool], str], ...] = (
    ("anyOf", any, "fits none of the alternatives of the schema"),
    ("oneOf", lambda fitting: sum(fitting) == 1, "must fit exactly one of the alternatives of the schema"),
)


def _fits(value: Any, schema: Schema) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, str) or _is_whole(value)
    if schema.get("format") == "quantity":
        return isinstance(value, str) or _is_number(value)
    match schema.get("type"):
        case "string":
            return isinstance(value, str)
        case "integer":
            return _is_whole(value)
        case "number":
            return _is_number(value)
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


def _closed(schema: Schema) -> bool:
    """Whether a mapping may have no fields but those that the schema names."""
    return (
        ("properties" in schema or schema.get("type") == "object")
        and not schema.get("additionalProperties")
        and not schema.get("x-kubernetes-preserve-unknown-fields")
    )


def _broken_limits(value: Any, schema: Schema) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"must be one of {', '.join(str(word) for word in schema['enum'])}"
    if _is_number(value):
        yield from _broken_range(value, schema)
    elif isinstance(value, str):
        yield from _broken_size(len(value), schema, "Length", "characters")
        if "pattern" in schema and not _matches(schema["pattern"], value):
            yield f"must match {schema['pattern']}"
    elif isinstance(value, list):
        yield from _broken_size(len(value), schema, "Items", "items")
        if schema.get("uniqueItems") and any(item in value[:index] for index, item in enumerate(value)):
            yield "has an item twice"
    elif isinstance(value, dict):
        yield from _broken_size(len(value), schema, "Properties", "fields")


def _broken_range(value: float, schema: Schema) -> Iterator[str]:
    low, high, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if low is not None and (value < low or (value == low and schema.get("exclusiveMinimum"))):
        yield f"must be {'more than' if schema.get('exclusiveMinimum') else 'at least'} {low}"
    if high is not None and (value > high or (value == high and schema.get("exclusiveMaximum"))):
        yield f"must be {'less than' if schema.get('exclusiveMaximum') else 'at most'} {high}"
    if step and value % step:
        yield f"must be a multiple of {step}"


def _broken_size(size: int, schema: Schema, suffix: str, unit: str) -> Iterator[str]:
    low, high = schema.get(f"min{suffix}"), schema.get(f"max{suffix}")
    if low is not None and size < low:
        yield f"must have at least {low} {unit}"
    if high is not None and size > high:
        yield f"must have at most {high} {unit}"


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        # RE2 has words that Python has not: what cannot be judged passes
        return True


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        return False
    return True


def _word(schema: Schema) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "a whole number or text"
    return "a quantity" if schema.get("format") == "quantity" else _WORDS.get(schema.get("type", ""), "a value")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, (int, float)):
        return "a number"
    return "a list" if isinstance(value, list) else "a mapping"
