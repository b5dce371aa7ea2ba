"""Whether an object has what was applied to it last."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from innerloop.gitops.agents.applied_last import ANNOTATION, covers, has_what_was_applied

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)
CONTAINERS = [{"name": "web", "image": "a"}, {"name": "log", "image": "b"}]


@given(VALUES)
def test_everything_has_all_of_itself(value: Any) -> None:
    assert covers(value, value)


@pytest.mark.parametrize(
    ("value", "wanted", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"b": 2}, {"a": 1}, False),
        ({}, {"a": {}, "b": [], "c": ""}, True),
        ([*CONTAINERS, {"name": "added"}], list(reversed(CONTAINERS)), True),
        ([{"name": "web", "image": "dev"}], CONTAINERS[:1], False),
        (["sleep", "1"], ["sleep", "2"], False),
        (["sleep", "1"], ["sleep"], False),
    ],
)
def test_what_is_missing_or_another_is_noticed(value: Any, wanted: Any, expected: bool) -> None:
    assert covers(value, wanted) is expected


def test_what_was_applied_is_read_from_the_object() -> None:
    applied = msgspec.json.encode({"data": {"title": "git"}}).decode()
    metadata = {"name": "settings", "annotations": {ANNOTATION: applied}}
    assert has_what_was_applied({"metadata": metadata, "data": {"title": "git", "extra": "1"}})
    assert not has_what_was_applied({"metadata": metadata, "data": {"title": "dev"}})


def test_an_object_that_does_not_tell_has_it() -> None:
    assert has_what_was_applied({"metadata": {"name": "settings"}})
