"""Edits of YAML texts: they read back as what was meant, and nothing else is touched."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from innerloop.config import dotenv
from innerloop.config.yaml import dump_all, load_all
from innerloop.gitops.harvest import editing
from innerloop.gitops.harvest.editing import Place

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
scalars = words | st.integers(-9, 999) | st.booleans()
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(words, inner, min_size=1, max_size=3),
)
documents = st.dictionaries(words, trees, min_size=1, max_size=4)


def read(text: str) -> Any:
    (document,) = load_all(text, "f.yaml")
    return document


def with_value(node: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """A copy with another value at a path."""
    if not path:
        return value
    if isinstance(node, dict):
        return {key: with_value(item, path[1:], value) if key == path[0] else item for key, item in node.items()}
    return [with_value(item, path[1:], value) if number == path[0] else item for number, item in enumerate(node)]


def without(node: Any, path: tuple[str | int, ...]) -> Any:
    """A copy that lacks what is at a path."""
    if len(path) > 1:
        if isinstance(node, dict):
            return {key: without(item, path[1:]) if key == path[0] else item for key, item in node.items()}
        return [without(item, path[1:]) if number == path[0] else item for number, item in enumerate(node)]
    if isinstance(node, dict):
        return {key: item for key, item in node.items() if key != path[0]}
    return [item for number, item in enumerate(node) if number != path[0]]


def pick(data: st.DataObject, text: str, kind: type) -> Place:
    found = [place for place in editing.places(text) if isinstance(place.node, kind)]
    return data.draw(st.sampled_from(found))


@given(documents, words, st.data())
def test_a_scalar_says_the_new_text(document: dict[str, Any], new: str, data: st.DataObject) -> None:
    text = dump_all([document])
    place = pick(data, text, yaml.ScalarNode)
    was_text = isinstance(editing.plain(place.node), str)
    found = read(editing.set_scalar(text, place.node, new))
    value = next(one for one in editing.places(dump_all([found])) if one.path == place.path)
    # what was a number may become another one, what was text stays text
    assert str(editing.plain(value.node)) == new or not was_text
    assert with_value(found, place.path, None) == with_value(document, place.path, None)


@given(documents, words, trees, st.data())
def test_a_mapping_gets_one_more_entry(document: dict[str, Any], key: str, value: Any, data: st.DataObject) -> None:
    text = dump_all([document])
    place = pick(data, text, yaml.MappingNode)
    before = editing.plain(place.node)
    if key in before:
        return
    assert read(editing.add_entry(text, place.node, key, value)) == with_value(
        document, place.path, {**at(document, place.path), key: value}
    )


@given(documents, trees, st.data())
def test_a_list_gets_one_more_item(document: dict[str, Any], value: Any, data: st.DataObject) -> None:
    text = dump_all([{**document, "a list": [1, "x"]}])
    place = pick(data, text, yaml.SequenceNode)
    whole = read(text)
    assert read(editing.add_item(text, place.node, value)) == with_value(
        whole, place.path, [*at(whole, place.path), value]
    )


@given(documents, st.data())
def test_an_entry_or_item_is_gone(document: dict[str, Any], data: st.DataObject) -> None:
    text = dump_all([document])
    places = [place for place in editing.places(text) if place.parent is not None]
    place = data.draw(st.sampled_from(places))
    assert (load_all(editing.remove(text, place), "f") or [{}])[0] == without(document, place.path)


def at(node: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        node = node[step]
    return node


STYLES = [
    ('a: "1.36"  # tested\n', "1.37", 'a: "1.37"  # tested\n'),
    ("a: 'it''s'\n", "that's", "a: 'that''s'\n"),
    ("a: v1\n", "1.5", 'a: "1.5"\n'),
    ("a: 1\n", "2", "a: 2\n"),
    ("{a: x, b: y}\n", "p, q", '{a: "p, q", b: y}\n'),
    ("a: |\n    x\n    y\nb: 1\n", "z\n", "a: |\n    z\nb: 1\n"),
    ("a: x\r\nb: y\r\n", "z", "a: z\r\nb: y\r\n"),
]


@pytest.mark.parametrize(("text", "new", "after"), STYLES)
def test_style_and_comments_stay(text: str, new: str, after: str) -> None:
    place = next(place for place in editing.places(text) if isinstance(place.node, yaml.ScalarNode))
    assert editing.set_scalar(text, place.node, new) == after


REMOVED = [
    ("a:\n  - x: 1\n    y: 2\n  - z\n", ("a", 0, "x"), "a:\n  - y: 2\n  - z\n"),
    ("a:\n  - x: 1\n  - z\n", ("a", 0), "a:\n  - z\n"),
    ("a:\n  b: 1\nc: 2\n", ("a", "b"), "a: {}\nc: 2\n"),
    ("a: {b: 1, c: 2}\n", ("a", "b"), "a: {c: 2}\n"),
    ("a: {b: 1, c: 2}\n", ("a", "c"), "a: {b: 1}\n"),
    ("a: [1]\n", ("a", 0), "a: []\n"),
]


@pytest.mark.parametrize(("text", "path", "after"), REMOVED)
def test_what_is_beside_stays(text: str, path: tuple[str | int, ...], after: str) -> None:
    place = next(place for place in editing.places(text) if place.path == path)
    assert editing.remove(text, place) == after


def test_json_stays_json() -> None:
    text = '{"a": {"b": 1}}\n'
    place = next(place for place in editing.places(text) if place.path == ("a",))
    assert editing.add_entry(text, place.node, "c", "x") == '{"a": {"b": 1, "c": "x"}}\n'


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\x00\ufeff"), max_size=20))
@pytest.mark.parametrize("old", ["A=1 # one", "export A='x'", 'A="two\nlines" # b', "A="])
def test_an_assignment_reads_back_as_the_new_value(old: str, new: str) -> None:
    text = f"# first\nA=0\nB='2'\n{old}\nC=3\n"
    changed = dotenv.with_value(text, "A", new)
    found = dotenv.parse(changed, ".env")
    value = found["A"].scalar.text
    assert (value if found["A"].literal else value.replace("$${", "${")) == new
    assert changed.startswith("# first\nA=0\nB='2'\n") and changed.endswith("\nC=3\n")
