"""Guesses which scalar decides a field: one that says what the field says, a part of it, or something around it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import yaml

from innerloop.config import dotenv
from innerloop.config.files import shown
from innerloop.config.variables import REFERENCE
from innerloop.errors import Location
from innerloop.gitops.harvest import editing, fields
from innerloop.gitops.harvest.changes import Change
from innerloop.gitops.harvest.editing import Place
from innerloop.gitops.harvest.fields import Item, Step
from innerloop.gitops.harvest.guesses import Filled, Guess, is_own
from innerloop.gitops.harvest.sources import SourceFile
from innerloop.gitops.harvest.structures import node_at

LEAST = 3
"""Characters that a value must have to be looked for within longer texts."""


def in_yaml(change: Change, filled: Filled) -> Iterator[Guess]:
    """Scalars of value files, manifests and ``loop.yaml``."""
    old, new = as_text(change.old), as_text(change.new)
    for place in filled.places:
        node = place.node
        if not isinstance(node, yaml.ScalarNode) or (value := filled.value(node.value)) is None:
            continue
        for wanted in solutions(value, old, new, multiline="\n" in value):
            if (text := _edited(filled, place, value, wanted)) is not None:
                yield filled.guess(place, text, exact=value == old, key=name_of(change))
    yield from _own(change, filled, new)


def in_variables(change: Change, file: SourceFile, text: str) -> Iterator[Guess]:
    """Assignments of an ``.env``."""
    old, new = as_text(change.old), as_text(change.new)
    for name, (scalar, _) in dotenv.parse(text, shown(file.path)).items():
        if REFERENCE.search(scalar.text):
            continue
        for wanted in solutions(scalar.text, old, new):
            where = scalar.where._replace(column=0)
            edited = dotenv.with_value(text, name, wanted)
            yield Guess(file.path, edited, where, name, (int(scalar.text != old), 0, int(file.kind)))


def in_template(change: Change, file: SourceFile, text: str) -> Iterator[Guess]:
    """Literal values in a chart's template."""
    old, new = as_text(change.old), as_text(change.new)
    if not old or "\n" in old or "\n" in new:
        return
    wanted = str(name_of(change))
    for found in re.finditer(rf"(?<=[\s:\"'\[{{,]){re.escape(old)}(?=[\"'\s,\]}}]|$)", text, re.MULTILINE):
        begin = text.rfind("\n", 0, found.start()) + 1
        line = text[begin : text.find("\n", found.end()) % (len(text) + 1)]
        quoted = text[found.start() - 1] in "\"'"
        if not quoted and text.count("{{", begin, found.start()) > text.count("}}", begin, found.start()):
            # a part of what is computed
            continue
        written = json.dumps(new)[1:-1] if quoted else editing.plain_or_quoted(new, old)
        edited = text[: found.start()] + written + text[found.end() :]
        where = Location(shown(file.path), text.count("\n", 0, found.start()) + 1)
        yield Guess(file.path, edited, where, line.strip(), (0, int(wanted not in line), int(file.kind)))


def solutions(value: str, old: str, new: str, *, multiline: bool = False) -> list[str]:
    """What a place must say instead of ``value``, so that what it decides may become ``new`` instead of ``old``."""
    if value == old:
        return [new]
    found: list[str] = []
    if value and value in old:
        for match in re.finditer(f"(?={re.escape(value)})", old):
            before, after = old[: match.start()], old[match.start() + len(value) :]
            if new.startswith(before) and new.endswith(after) and len(new) >= len(before) + len(after):
                found.append(new[len(before) : len(new) - len(after)])
    elif old and old in value and (multiline or len(old) >= LEAST):
        whole = re.finditer(rf"(?<![\w.]){re.escape(old)}(?![\w.])", value)
        found = [value[: match.start()] + new + value[match.end() :] for match in whole]
    return [one for one in dict.fromkeys(found) if one != value]


def as_text(value: object) -> str:
    """A scalar as YAML has it without quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def name_of(change: Change) -> Step | str:
    """What a field is called: the name of the variable rather than ``value``."""
    named = [step.value for step in change.path if isinstance(step, Item)]
    last = change.path[-1]
    if last in ("value", "tag") and named:
        return str(named[-1])
    return str(last.value) if isinstance(last, Item) else last


def _own(change: Change, filled: Filled, new: str) -> Iterator[Guess]:
    """The field in the object's own manifest, whatever it says there: a kustomization may have changed it."""
    for document in {id(place.document): place.document for place in filled.places}.values():
        place = node_at(document, change.path) if is_own(filled, document, change) else None
        if place is not None and isinstance(place.node, yaml.ScalarNode):
            value = filled.value(place.node.value)
            text = _edited(filled, place, value, new) if value is not None and value != new else None
            if text is not None:
                yield filled.guess(place, text, exact=True, key=fields.shown(change.path[-1:]))


def _edited(filled: Filled, place: Place, value: str, wanted: str) -> str | None:
    """The file's text with another value there; None where a variable decides the part that is to change."""
    written = place.node.value
    if written == value:
        return editing.set_scalar(filled.text, place.node, filled.literal(wanted))
    start = _common(value, wanted)
    end = min(_common(value[::-1], wanted[::-1]), len(value) - start, len(wanted) - start)
    parts = list(_literal_parts(filled, written))
    if start + end == len(value) and any(start in (at, at + len(part)) for at, part in parts) and len(parts) > 1:
        # something put in beside a variable: whether it belongs to the variable nobody can tell
        if start not in (0, len(value)) or not parts[0 if not start else -1][1]:
            return None
    for begin, part in parts:
        if begin <= start and len(value) - end <= begin + len(part):
            inner = part[: start - begin] + filled.literal(wanted[start : len(wanted) - end])
            changed = inner + part[len(value) - end - begin :]
            return editing.set_scalar(filled.text, place.node, _with_part(filled, written, begin, changed))
    return None


def _literal_parts(filled: Filled, written: str) -> Iterator[tuple[int, str]]:
    """The parts of a text between its variables, each with where it begins once they are put in."""
    position = shift = 0
    for match in [*REFERENCE.finditer(written), None]:
        end = match.start() if match else len(written)
        yield position + shift, written[position:end]
        if match:
            shift += len(filled.value(match[0]) or "") - len(match[0])
            position = match.end()


def _with_part(filled: Filled, written: str, begin: int, changed: str) -> str:
    """The written text with the literal part replaced that begins there."""
    text = ""
    position = shift = 0
    for match in [*REFERENCE.finditer(written), None]:
        end = match.start() if match else len(written)
        text += changed if position + shift == begin else written[position:end]
        if match:
            text += match[0]
            shift += len(filled.value(match[0]) or "") - len(match[0])
            position = match.end()
    return text


def _common(one: str, other: str) -> int:
    """How many characters both begin with."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
