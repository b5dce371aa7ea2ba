"""The kinds that CustomResourceDefinitions bring, in files and in the render itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from innerloop.config import yaml
from innerloop.config.files import read, shown
from innerloop.errors import Location, LoopError
from innerloop.gitops.gates.kubernetes import OBJECT_META, Kind, KindKey
from innerloop.gitops.gates.validation import Schema
from innerloop.render.documents import chunks

_KIND = "CustomResourceDefinition"
_VERSION = "apiextensions.k8s.io/v1"
_ENDINGS = (".yaml", ".yml", ".json")
_COUNTED = ("Length", "Items", "Properties")
_EXTENSIONS = (
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
)
ANYTHING: Schema = {"x-kubernetes-preserve-unknown-fields": True}


def from_files(paths: Iterable[Path], wanted: Collection[KindKey], where: Location) -> dict[KindKey, Kind]:
    """The wanted kinds, from files and from folders with everything below; other objects there are passed over.

    Raises LoopError for a path that does not exist or has no definitions, and for what cannot be read.
    """
    found: dict[KindKey, Kind] = {}
    for path in paths:
        if not path.exists():
            raise LoopError(f"{shown(path)} does not exist", where=where)
        texts = [(file, text) for file in _files(path) if _KIND in (text := read(file))]
        if not texts:
            raise LoopError(f"{shown(path)} has no {_KIND}", where=where, hint=f"of {_VERSION}, as YAML or JSON")
        for file, text in texts:
            found.update(_of_text(text, shown(file), wanted))
    return found


def from_objects(objects: Iterable[Any]) -> dict[KindKey, Kind]:
    """Those of the CustomResourceDefinitions among objects."""
    return {key: kind for obj in objects if _is_definition(obj) for key, kind in _kinds(obj["spec"])}


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix in _ENDINGS and file.is_file())


def _of_text(text: str, file: str, wanted: Collection[KindKey]) -> Iterator[tuple[KindKey, Kind]]:
    for chunk in chunks(text):
        # definitions are long, and operators bring dozens: only those that can be meant are parsed
        if not any(kind in chunk.text and version.partition("/")[0] in chunk.text for version, kind in wanted):
            continue
        for document in yaml.load_all(chunk.text, file, last_wins=True):
            items = document.get("items") if isinstance(document, dict) else None
            yield from from_objects(items if isinstance(items, list) else [document]).items()


def _is_definition(obj: Any) -> bool:
    return (
        isinstance(obj, dict)
        and (obj.get("kind"), obj.get("apiVersion")) == (_KIND, _VERSION)
        and isinstance(obj.get("spec"), dict)
    )


def _kinds(spec: dict[str, Any]) -> Iterator[tuple[KindKey, Kind]]:
    """One for each served version; what is wrong with a definition itself is told where it is checked as an object."""
    names, versions = spec.get("names"), spec.get("versions")
    if not isinstance(names, dict) or not isinstance(versions, list):
        return
    for version in versions:
        if isinstance(version, dict) and version.get("served"):
            given = version.get("schema")
            schema = given.get("openAPIV3Schema") if isinstance(given, dict) else None
            key = f"{spec.get('group')}/{version.get('name')}", str(names.get("kind"))
            yield key, Kind(with_common(schema or ANYTHING), spec.get("scope") == "Namespaced")


def with_common(schema: Any) -> Schema:
    """A definition's schema with what every object has, and without what cannot be read of it."""
    read = _readable(schema)
    fields: Mapping[str, Schema] = {
        **(read.get("properties") or {}),
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"$ref": OBJECT_META},
    }
    return {**read, "type": "object", "properties": fields}


def _readable(node: Any) -> Schema:
    """A schema of those parts that have the type which they should have, down to the last.

    What is wrong with the others is told where the definition itself is checked. A reference is taken for anything:
    definitions have none, other APIs of a cluster may.
    """
    if not isinstance(node, dict):
        return {}
    kept: dict[str, Any] = {key: value for key, value in node.items() if isinstance(value, _PARTS.get(key, ()))}
    for key in ("items", "additionalProperties", "not"):
        if isinstance(kept.get(key), dict):
            kept[key] = _readable(kept[key])
    for key in ("allOf", "anyOf", "oneOf"):
        if key in kept:
            kept[key] = [_readable(one) for one in kept[key]]
    if "properties" in kept:
        kept["properties"] = {name: _readable(field) for name, field in kept["properties"].items()}
    if "required" in kept:
        kept["required"] = [name for name in kept["required"] if isinstance(name, str)]
    return kept


_NUMBERS = ("minimum", "maximum", "multipleOf", *(f"{side}{what}" for side in ("min", "max") for what in _COUNTED))
_FLAGS = ("nullable", "uniqueItems", "exclusiveMinimum", "exclusiveMaximum", *_EXTENSIONS)
_PARTS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(_NUMBERS, (int, float)),
    **dict.fromkeys(_FLAGS, bool),
    **dict.fromkeys(("required", "enum", "allOf", "anyOf", "oneOf"), list),
    **dict.fromkeys(("type", "pattern"), str),
    **dict.fromkeys(("properties", "items", "not"), dict),
    "additionalProperties": (bool, dict),
    "default": object,
}
