"""From a stream of YAML to manifests that know where they came from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from innerloop.config import yaml
from innerloop.errors import Location, LoopError
from innerloop.manifest import Manifest

_BOUNDARY = re.compile(r"^---(?=\s|\Z)", re.MULTILINE)
_EMPTY = re.compile(r"\s*(?:#.*)?")


class Chunk(NamedTuple):
    """The text of one document."""

    text: str
    line: int
    """Where it begins in the stream, from 1."""


def manifests_in(text: str, file: str, source: str, *, last_wins: bool = False) -> list[Manifest]:
    """The objects of a stream in order; lists are unpacked, empty documents skipped.

    ``file`` names the stream in errors, ``source`` is what the manifests keep. Raises LoopError with the line for what
    is no YAML and for what is no Kubernetes object.
    """
    return [manifest for chunk in chunks(text) for manifest in manifests_of(chunk, file, source, last_wins=last_wins)]


def chunks(text: str) -> Iterator[Chunk]:
    """The documents' texts. A line ``---`` cannot be within one: inside a block every line is indented."""
    starts = [match.start() for match in _BOUNDARY.finditer(text)]
    line = 1
    begun = 0
    for end in [*starts, len(text)]:
        # directives (%YAML) stand before the '---' of their own document
        if text.startswith("%", begun) and end < len(text):
            continue
        if end > begun:
            yield Chunk(text[begun:end], line)
            line += text.count("\n", begun, end)
        begun = end


def manifests_of(chunk: Chunk, file: str, source: str, *, last_wins: bool = False) -> list[Manifest]:
    """The objects of one document. Raises LoopError as ``manifests_in``."""
    try:
        documents = yaml.load_all(chunk.text, file, last_wins=last_wins)
    except LoopError as error:
        if error.where and error.where.line:
            error.where = error.where._replace(line=error.where.line + chunk.line - 1)
        raise
    where = Location(file, chunk.line + _first_line(chunk.text)) if documents else Location(file)
    return [manifest for document in documents for manifest in objects_in(document, source, where)]


def objects_in(document: Any, source: str, where: Location) -> Iterator[Manifest]:
    """The object that a document is, or those that a list has. Raises LoopError when something is missing."""
    if not isinstance(document, dict):
        raise LoopError("a Kubernetes object is expected, this is no mapping", where=where)
    for field in ("apiVersion", "kind"):
        if not isinstance(document.get(field), str) or not document[field]:
            raise LoopError(f"this object has no {field}", where=where)
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if document["kind"].endswith("List") and isinstance(document.get("items"), list) and not name:
        for item in document["items"]:
            yield from objects_in(item, source, where)
        return
    if not isinstance(name, str) or not name:
        generated = isinstance(metadata, dict) and "generateName" in metadata
        hint = "generateName makes a new object at every deployment: give it a fixed name" if generated else None
        raise LoopError(f"this {document['kind']} has no metadata.name", where=where, hint=hint)
    yield Manifest(document, source)


def _first_line(text: str) -> int:
    """How many lines stand before the first one with content."""
    lines = text.splitlines()
    return next(
        (number for number, line in enumerate(lines) if not _EMPTY.fullmatch(line) and line.strip() != "---"), 0
    )
