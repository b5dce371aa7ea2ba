"""Guesses where a mapping or list gets something new, or loses something."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from innerloop.config.files import shown
from innerloop.config.yaml_writing import dump_all
from innerloop.errors import Location
from innerloop.gitops.harvest import editing, fields
from innerloop.gitops.harvest.changes import Change
from innerloop.gitops.harvest.editing import Place
from innerloop.gitops.harvest.fields import ABSENT, Item, Path
from innerloop.gitops.harvest.guesses import Filled, Guess, is_own
from innerloop.gitops.harvest.sources import SourceFile


def additions(change: Change, filled: Filled) -> Iterator[Guess]:
    """Mappings and lists that say what the one says in which the new thing is, or are empty and called like it."""
    for place, own in _with_own(change, filled, change.path[:-1]):
        text = _added(change, filled, place, own=own)
        if text is not None:
            yield filled.guess(place, text, exact=own, key=_name(change))


def removals(change: Change, filled: Filled) -> Iterator[Guess]:
    """Entries and items that say what is gone, of mappings and lists that say what it was in."""
    for place, own in _with_own(change, filled, change.path):
        if place.parent is not None and (own or _is_gone(change, filled, place)):
            yield filled.guess(place, editing.remove(filled.text, place), exact=own, key=_name(change))


def in_template(change: Change, file: SourceFile, text: str) -> Iterator[Guess]:
    """Lines of a chart's template beside those of the new thing's neighbours."""
    step = change.path[-1]
    if isinstance(step, Item) and isinstance(change.around, list):
        names = [str(item.get(step.key)) for item in change.around if isinstance(item, dict)]
        found = re.finditer(rf"^( *)- \{{? ?{step.key}: [\"']?(?:{_any(names)})\b", text, re.MULTILINE) if names else ()
        lines, places = dump_all([[change.new]]), [(_item_end(text, match), match[1]) for match in found]
    elif isinstance(step, str) and isinstance(change.around, dict):
        found = re.finditer(rf"^( +)(?:{_any(change.around)}):", text, re.MULTILINE) if change.around else ()
        lines, places = dump_all([{step: change.new}]), [(match.start(), match[1]) for match in found]
        yield from _in_flow(change, step, file, text)
    else:
        return
    # what is new comes last
    for rank, (at, indent) in enumerate(reversed(places)):
        written = "".join(f"{indent}{line}\n" for line in lines.splitlines())
        yield _guess(file, text, at, written, rank)


def _in_flow(change: Change, step: str, file: SourceFile, text: str) -> Iterator[Guess]:
    """Mappings that a template has on one line: ``limits: {memory: 64Mi}``."""
    above = change.path[-2] if len(change.path) > 1 else None
    for rank, match in enumerate(re.finditer(rf"\b{_any([str(above)])}: \{{[^{{}}\n]+(?=\}})", text)):
        yield _guess(file, text, match.end(), f", {step}: {editing.in_flow(change.new)}", rank)


def _guess(file: SourceFile, text: str, at: int, written: str, rank: int) -> Guess:
    where = Location(shown(file.path), text.count("\n", 0, at) + 1)
    what = written.strip(" ,\n").split("\n", 1)[0]
    return Guess(file.path, text[:at] + written + text[at:], where, what, (2, rank, int(file.kind)))


def _any(names: Iterable[str]) -> str:
    return "|".join(map(re.escape, names))


def node_at(document: Any, path: Path) -> Place | None:
    """The node of a field in the manifest that a document is."""
    place = Place(document, (), document)
    for step in path:
        node = place.node
        if isinstance(node, yaml.MappingNode) and isinstance(step, str):
            entry = next((one for one in node.value if one[0].value == step), None)
            if entry is None:
                return None
            place = Place(entry[1], (*place.path, step), document, entry[0], node)
        elif isinstance(node, yaml.SequenceNode):
            parent = place.path[-1] if place.path and isinstance(place.path[-1], str) else None
            known = fields.steps(parent, editing.plain(node))
            if step not in known:
                return None
            number = known.index(step)
            place = Place(node.value[number], (*place.path, number), document, None, node)
        else:
            return None
    return place


def _with_own(change: Change, filled: Filled, path: Path) -> Iterator[tuple[Place, bool]]:
    """The place in the object's own manifest, then all others."""
    places = filled.places
    for document in {id(place.document): place.document for place in places}.values():
        own = node_at(document, path) if is_own(filled, document, change) else None
        if own is not None:
            yield own, True
    yield from ((place, False) for place in places)


def _added(change: Change, filled: Filled, place: Place, *, own: bool) -> str | None:
    """The file's text with the new thing there; None where it does not belong there."""
    node, step, value = place.node, change.path[-1], change.new
    if isinstance(node, yaml.SequenceNode) and not isinstance(step, str):
        return editing.add_item(filled.text, node, value) if own or _is_list_around(change, filled, place) else None
    if isinstance(node, yaml.MappingNode) and isinstance(step, str) and (own or _is_around(change, filled, node)):
        return editing.add_entry(filled.text, node, step, value)
    if isinstance(node, yaml.MappingNode) and (pair := _as_variable(change)) and _has_variables(change, filled, place):
        return editing.add_entry(filled.text, node, *pair)
    if isinstance(step, str) and place.path[-1:] == (step,) and _is_empty(filled, node):
        return editing.replace_node(filled.text, place, value)
    return None


def _is_gone(change: Change, filled: Filled, place: Place) -> bool:
    step, value = change.path[-1], filled.plain(place.node)
    if isinstance(place.parent, yaml.MappingNode):
        if (pair := _as_variable(change)) and place.path[-1:] == (pair[0],):
            return str(value) == pair[1]
        return isinstance(step, str) and place.path[-1] == step and bool(value == change.old)
    return not isinstance(step, str) and bool(value == change.old)


def _is_around(change: Change, filled: Filled, node: Any) -> bool:
    return bool(node.value) and bool(filled.plain(node) == change.around)


def _is_list_around(change: Change, filled: Filled, place: Place) -> bool:
    """Whether all of a list is in the rendered one; of an empty one only its name can tell."""
    items = filled.plain(place.node)
    if not items:
        return _is_called(place, change)
    return isinstance(change.around, list) and all(item in change.around for item in items)


def _as_variable(change: Change) -> tuple[str, str] | None:
    """Name and value of a container's variable: charts often have them as a mapping."""
    found = change.old if change.new is ABSENT else change.new
    if isinstance(found, dict) and found.keys() == {"name", "value"} and isinstance(change.path[-1], Item):
        return str(found["name"]), str(found["value"])
    return None


def _has_variables(change: Change, filled: Filled, place: Place) -> bool:
    values = filled.plain(place.node)
    if not values:
        return _is_called(place, change)
    items = [{"name": name, "value": str(value)} for name, value in values.items()]
    return isinstance(change.around, list) and all(item in change.around for item in items)


def _is_called(place: Place, change: Change) -> bool:
    """``env``, ``extraEnv`` for the list ``env``."""
    above = next((step for step in reversed(change.path[:-1]) if isinstance(step, str)), "")
    return bool(place.path) and isinstance(place.path[-1], str) and above.lower() in place.path[-1].lower()


def _is_empty(filled: Filled, node: Any) -> bool:
    return filled.plain(node) in (None, {}, [])


def _name(change: Change) -> str:
    step = change.path[-1]
    return str(step.value if isinstance(step, Item) else step)


def _item_end(text: str, item: re.Match[str]) -> int:
    """Behind the lines of a list's item: the next line that is not indented more than its dash."""
    following = re.compile(rf"^(?! {{{len(item[1]) + 1}}})(?! *$)", re.MULTILINE).search(
        text, text.find("\n", item.start()) + 1
    )
    return following.start() if following else len(text)
