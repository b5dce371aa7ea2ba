"""The JSON schema of ``loop.yaml``, for editors. ``python -m innerloop.config.schema`` writes the shipped file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from innerloop.config import format
from innerloop.config.conversion import DEPENDENCY_KINDS, MANIFEST_KINDS
from innerloop.project import HOOK_POINTS

FILE = Path(__file__).with_name("loop.schema.json")


def json_schema() -> dict[str, Any]:
    """Generated from the structs of ``format`` (JSON Schema 2020-12)."""
    _, definitions = msgspec.json.schema_components([format.File], ref_template="#/$defs/{name}")
    definitions["ManifestEntry"]["oneOf"] = [{"required": [kind]} for kind in MANIFEST_KINDS]
    definitions["DependencyEntry"]["oneOf"] = [{"required": [kind]} for kind in DEPENDENCY_KINDS]
    root = definitions.pop("File")
    root["properties"]["hooks"]["propertyNames"] = {"enum": list(HOOK_POINTS)}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **root,
        "title": "loop.yaml",
        "$defs": definitions,
    }
    return {key: _as_read(value) for key, value in schema.items()}


def text() -> str:
    """The schema as it is shipped."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _as_read(schema: Any) -> Any:
    """Numbers and booleans are read as text where text is wanted, so the schema must let them pass."""
    if isinstance(schema, list):
        return [_as_read(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    read = {key: _as_read(value) for key, value in schema.items()}
    if read.get("type") == "string" and "pattern" not in read:
        read["type"] = ["string", "number", "boolean"]
    return read


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
