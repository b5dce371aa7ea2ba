"""YAML as Kubernetes' tools read and write it, with the place of everything that is wrong.

libyaml parses; what its events mean is decided here (see ``scalars``). Stricter than the tools in two points where they
would silently drop something: a duplicate key is an error, and so is a tag that no one knows.
"""

from __future__ import annotations

from typing import Any

import yaml

from innerloop.config import nodes, scalars
from innerloop.config.nodes import Entry, Mapping, Node, Scalar, Sequence
from innerloop.config.yaml_writing import dump_all
from innerloop.errors import Location, LoopError

__all__ = ["dump_all", "load_all", "parse"]

MAX_DEPTH = 200
MAX_ALIASED = 100_000
"""Nodes that a stream may gain by aliases, so that a small file cannot fill the memory."""

_TAG = "tag:yaml.org,2002:"


def parse(text: str, file: str) -> Node | None:
    """The one document of a file, None when it is empty. Its keys are text as written: ``y`` is no boolean there.

    Raises LoopError with the place for everything that is no YAML, and when there are several documents.
    """
    documents = _Reader(text, file, written_keys=True).documents()
    if len(documents) > 1:
        raise LoopError("one YAML document is expected, this begins another", where=documents[1].where)
    return documents[0] if documents and not nodes.is_null(documents[0]) else None


def load_all(text: str, file: str, *, last_wins: bool = False) -> list[Any]:
    """The values of all documents but the empty ones; keys are the text that JSON makes of them.

    With ``last_wins`` a duplicate key is no error: the later one counts, as Helm and ``kubectl`` have it.
    Raises LoopError with the place.
    """
    documents = _Reader(text, file, last_wins=last_wins).documents()
    return [nodes.plain(node) for node in documents if not nodes.is_null(node)]


class _Reader:
    """Builds nodes from one stream's events. Anchors live as long as their document."""

    def __init__(self, text: str, file: str, *, written_keys: bool = False, last_wins: bool = False) -> None:
        self._file = file
        self._written_keys = written_keys
        self._last_wins = last_wins
        self._text = text
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._open: set[str] = set()
        self._made = 0
        self._aliased = 0

    def documents(self) -> list[Node]:
        try:
            self._parser: Any = yaml.CSafeLoader(self._text)
            return self._documents()
        except yaml.MarkedYAMLError as error:
            raise self._syntax_error(error) from error
        except yaml.reader.ReaderError as error:
            raise self._bad_character() from error
        except UnicodeEncodeError as error:
            raise LoopError("this is not text in UTF-8", where=Location(self._file)) from error

    def _documents(self) -> list[Node]:
        found: list[Node] = []
        next_event = self._parser.get_event
        while (event := next_event()) is not None:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors.clear()
                found.append(self._node(next_event(), 0))
        return found

    def _node(self, event: Any, depth: int) -> Node:
        where = self._place(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor, where)
        if depth > MAX_DEPTH:
            raise LoopError(f"nested more than {MAX_DEPTH} levels deep", where=where)
        before = self._made
        self._made += 1
        if event.anchor:
            self._open.add(event.anchor)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, where)
        elif isinstance(event, yaml.MappingStartEvent):
            self._check_tag(event, "map", where)
            node = self._mapping(where, depth)
        else:
            self._check_tag(event, "seq", where)
            node = self._sequence(where, depth)
        if event.anchor:
            self._open.discard(event.anchor)
            self._anchors[event.anchor] = (node, self._made - before)
        return node

    def _scalar(self, event: Any, where: Location) -> Scalar:
        text, style = event.value, event.style
        if not event.tag or event.tag == "!":
            plain = bool(event.implicit[0]) and not event.tag
            return Scalar(text, where, plain, style in ("|", ">"))
        return _tagged(event.tag, text, where)

    def _mapping(self, where: Location, depth: int) -> Mapping:
        entries: dict[str, Entry] = {}
        merged: list[Mapping] = []
        while not isinstance(event := self._parser.get_event(), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(self._parser.get_event(), depth + 1)
            if isinstance(key, Scalar) and key.plain and key.text == "<<":
                merged += _merge_sources(value)
                continue
            name = key.text if self._written_keys and isinstance(key, Scalar) else _key(key)
            if name in entries and not self._last_wins:
                first = entries[name].where
                raise LoopError(
                    f"duplicate key '{name}', first given in line {first.line}",
                    where=key.where,
                    hint="keep one of the two",
                )
            entries[name] = Entry(key.where, value)
        for source in merged:
            for name, entry in source.entries.items():
                entries.setdefault(name, entry)
        return Mapping(entries, where)

    def _sequence(self, where: Location, depth: int) -> Sequence:
        items: list[Node] = []
        while not isinstance(event := self._parser.get_event(), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Sequence(items, where)

    def _alias(self, anchor: Any, where: Location) -> Node:
        if anchor in self._open:
            raise LoopError(f"the value of anchor '{anchor}' contains itself", where=where)
        if anchor not in self._anchors:
            raise LoopError(f"unknown anchor '{anchor}'", where=where)
        node, size = self._anchors[anchor]
        self._made += size
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            raise LoopError("too many aliases: the document would become too large", where=where)
        return node

    def _check_tag(self, event: Any, expected: str, where: Location) -> None:
        if event.tag and event.tag not in ("!", _TAG + expected):
            raise _unknown_tag(event.tag, where)

    def _place(self, event: Any) -> Location:
        mark = event.start_mark
        return Location(self._file, mark.line + 1, mark.column + 1)

    def _syntax_error(self, error: yaml.MarkedYAMLError) -> LoopError:
        mark = error.problem_mark or error.context_mark
        where = Location(self._file, mark.line + 1, mark.column + 1) if mark else Location(self._file)
        lines = self._text.splitlines()
        line = lines[where.line - 1] if 0 < where.line <= len(lines) else ""
        tab = line.find("\t")
        if 0 <= tab and not line[:tab].strip(" -"):
            where = where._replace(column=tab + 1)
            return LoopError("a tab cannot indent YAML", where=where, hint="indent with spaces")
        problem = str(error.problem or "not valid YAML")
        context = str(error.context or "")
        begun = error.context_mark
        if context and begun:
            context += f" that begins in line {begun.line + 1}"
        hint = "put what has ${…} in it in quotes: within [ ] and { } a brace is YAML's own" if "${" in line else None
        return LoopError(problem, where=where, detail=context or None, hint=hint if "flow" in context else None)

    def _bad_character(self) -> LoopError:
        for number, line in enumerate(self._text.split("\n"), 1):
            for column, character in enumerate(line, 1):
                if not _readable(character):
                    where = Location(self._file, number, column)
                    return LoopError(f"the control character U+{ord(character):04X} cannot be in YAML", where=where)
        return LoopError("this is not text in UTF-8", where=Location(self._file))


def _readable(character: str) -> bool:
    code = ord(character)
    return character in "\t\r" or code == 0x85 or 0x20 <= code < 0x7F or (code >= 0xA0 and code not in (0xFFFE, 0xFFFF))


def _key(node: Node) -> str:
    if not isinstance(node, Scalar):
        raise LoopError("a key must be text, not a list or a mapping", where=node.where)
    try:
        return scalars.key(node.value)
    except ValueError as error:
        raise LoopError("null cannot be a key", where=node.where, hint="quote it to mean the text") from error


def _merge_sources(node: Node) -> list[Mapping]:
    candidates = node.items if isinstance(node, Sequence) else [node]
    sources = [candidate for candidate in candidates if isinstance(candidate, Mapping)]
    if len(sources) < len(candidates):
        raise LoopError("<< merges mappings only", where=node.where)
    return sources


def _tagged(tag: str, text: str, where: Location) -> Scalar:
    kind = tag.removeprefix(_TAG)
    if kind in ("str", "timestamp"):
        return Scalar(text, where)
    if kind == "binary":
        return Scalar(_decoded(text, where), where)
    expected = _TYPES.get(kind)
    if expected is None:
        raise _unknown_tag(tag, where)
    if not isinstance(scalars.resolve(text), expected):
        raise LoopError(f"'{text}' is no {kind}", where=where)
    return Scalar(text, where, plain=True)


def _decoded(text: str, where: Location) -> str:
    # hardly any file has such a value
    import base64

    try:
        return base64.b64decode(text).decode()
    except ValueError as error:
        raise LoopError("!!binary holds no text in base64", where=where) from error


_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "null": (type(None),),
}


def _unknown_tag(tag: str, where: Location) -> LoopError:
    name = tag.replace(_TAG, "!!")
    return LoopError(f"unknown tag {name}", where=where, hint="quote the value if it is meant to begin with '!'")
