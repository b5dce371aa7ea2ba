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
            schema = (version.get("schema") or {}).get("openAPIV3Schema") or ANYTHING
            key = f"{spec.get('group')}/{version.get('name')}", str(names.get("kind"))
            yield key, Kind(with_common(schema), spec.get("scope") == "Namespaced")


def with_common(schema: Schema) -> Schema:
    """A definition's schema with what every object has."""
    fields: Mapping[str, Schema] = {
        **(schema.get("properties") or {}),
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"$ref": OBJECT_META},
    }
    return {**schema, "type": "object", "properties": fields}
