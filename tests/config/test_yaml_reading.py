"""YAML with the place of everything, and an error with its place for everything that is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innerloop.config import nodes, yaml
from innerloop.errors import Location, LoopError


def value(text: str) -> Any:
    (document,) = yaml.load_all(text, "x.yaml")
    return document


def error(text: str) -> LoopError:
    with pytest.raises(LoopError) as caught:
        yaml.parse(text, "x.yaml")
    return caught.value


def test_keys_and_values_know_their_places() -> None:
    tree = yaml.parse("dev:\n  web:\n    ports: [80,  81]\n", "x.yaml")
    assert tree is not None
    assert dict(nodes.walk(tree)) == {
        "dev": Location("x.yaml", 1, 1),
        "dev.web": Location("x.yaml", 2, 3),
        "dev.web.ports": Location("x.yaml", 3, 5),
        "dev.web.ports.0": Location("x.yaml", 3, 13),
        "dev.web.ports.1": Location("x.yaml", 3, 18),
    }


def test_a_stream_gives_its_documents_without_the_empty_ones() -> None:
    assert yaml.load_all("---\na: 1\n---\n---\n# nothing\n---\nb: 2\n", "x") == [{"a": 1}, {"b": 2}]


def test_an_empty_file_is_nothing() -> None:
    assert yaml.parse("# only a comment\n", "x") is None


def test_keys_become_text_as_json_has_it() -> None:
    assert value("{1: a, on: b, 0x10: c, 1.5: d, 'x': e}") == {"1": "a", "true": "b", "16": "c", "1.5": "d", "x": "e"}


def test_quoted_scalars_are_text() -> None:
    assert value("['0644', \"yes\", 'null']") == ["0644", "yes", "null"]


def test_known_tags_count() -> None:
    assert value("[!!str 12, !!int '12', !!float 1, !!binary aGk=, !!null '', !!bool 'yes']") == [
        "12", 12, 1, "hi", None, True,
    ]  # fmt: skip


def test_anchors_are_copied_so_that_changing_one_changes_one() -> None:
    read = value("a: &x {k: [1]}\nb: *x\n")
    read["a"]["k"].append(2)
    assert read["b"] == {"k": [1]}


def test_merge_keys_fill_what_is_not_given() -> None:
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], c: 3}\n"
    assert value(text)["z"] == {"a": 1, "b": 1, "c": 3}


def test_a_quoted_merge_key_is_a_key() -> None:
    assert value("'<<': {a: 1}") == {"<<": {"a": 1}}


def test_a_reference_that_has_to_be_quoted_is_told() -> None:
    with pytest.raises(LoopError) as failure:
        yaml.load_all("a: {b: ${C}}\n", "x.yaml")
    assert str(failure.value.hint).startswith("put what has ${…} in it in quotes")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "x.yaml:4:3: duplicate key 'c', first given in line 3"),
        ("a:\n\tb: 1\n", "x.yaml:2:1: a tab cannot indent YAML"),
        ("a:\n  - b\n \t- c\n", "x.yaml:3:2: a tab cannot indent YAML"),
        ("a: !vault x\n", "x.yaml:1:4: unknown tag !vault"),
        ("a: !!python/name:os.system x\n", "x.yaml:1:4: unknown tag !!python/name:os.system"),
        ("a: !!set {x}\n", "x.yaml:1:4: unknown tag !!set"),
        ("a: !!int x\n", "x.yaml:1:4: 'x' is no int"),
        ("a: 1\n---\nb: 2\n", "x.yaml:3:1: one YAML document is expected, this begins another"),
        ("a: *b\n", "x.yaml:1:4: unknown anchor 'b'"),
        ("a: &a [*a]\n", "x.yaml:1:8: the value of anchor 'a' contains itself"),
        ("a: {<<: [1]}\n", "x.yaml:1:9: << merges mappings only"),
        ("{[a]: 1}\n", "x.yaml:1:2: a key must be text, not a list or a mapping"),
        ("a: b: c\n", "x.yaml:1:5: mapping values are not allowed in this context"),
        ("a: [1, 2\nb: 3\n", "x.yaml:2:2: did not find expected ',' or ']'"),
        ("a: 'b\n", "x.yaml:2:1: found unexpected end of stream"),
        ("a: x\x07y\n", "x.yaml:1:5: the control character U+0007 cannot be in YAML"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, told: str) -> None:
    assert str(error(text)) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("on: 1\ntrue: 2\n", "x:2:1: duplicate key 'true', first given in line 1"),
        ("~: 1\n", "x:1:1: null cannot be a key"),
    ],
)
def test_keys_of_manifests_are_what_json_makes_of_them(text: str, told: str) -> None:
    with pytest.raises(LoopError) as caught:
        yaml.load_all(text, "x")
    assert str(caught.value) == told


def test_the_last_of_duplicate_keys_wins_where_asked_for() -> None:
    assert yaml.load_all("a: 1\nb: 2\na: 3\n", "x", last_wins=True) == [{"a": 3, "b": 2}]


def test_keys_of_a_file_of_ours_are_text_as_written() -> None:
    tree = yaml.parse("{y: 1, on: 2, 0644: 3, ~: 4}", "x")
    assert tree is not None
    assert nodes.plain(tree) == {"y": 1, "on": 2, "0644": 3, "~": 4}


def test_what_json_cannot_say_is_an_error() -> None:
    with pytest.raises(LoopError, match=r"x:2:4: \.inf cannot be a value here"):
        yaml.load_all("a: 1\nb: .inf\n", "x")


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    assert "nested more than" in str(error("[" * 900))


def test_nesting_beyond_what_the_parser_takes_is_an_error_too() -> None:
    # libyaml of PyYAML 6.0.4 has a limit of its own, and reads so far ahead that it comes first
    assert "nest" in str(error("[" * 100_000))


def test_a_bomb_of_aliases_is_an_error() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "too many aliases" in str(error("\n".join(lines)))


@given(st.text(alphabet="ab:-?[]{},#&*!|>'\"%@ \n\t0.<~é\x00", max_size=40) | st.text())
def test_any_text_is_read_or_told_wrong_with_its_place(text: str) -> None:
    try:
        yaml.load_all(text, "x")
    except LoopError as told:
        assert told.where is not None
