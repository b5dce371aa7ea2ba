"""Lines do not depend on where the network cut them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innerloop.kube.errors import ConnectionFailed
from innerloop.kube.lines import Lines
from innerloop.kube.watching import decode

TEXT = st.lists(st.sampled_from([b"", b"a", b"\n", b"bc\r", b"\n\n"]), max_size=30).map(b"".join)


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(ends)]


@given(TEXT, st.lists(st.integers(min_value=0)))
def test_lines_are_those_of_the_whole(data: bytes, places: list[int]) -> None:
    lines = Lines()
    found = [line for chunk in cut(data, places) for line in lines.feed(chunk)]
    assert [*found, lines.rest()] == data.split(b"\n")


@given(TEXT, st.lists(st.integers(min_value=0)), st.integers(min_value=1, max_value=5))
def test_a_limit_loses_nothing(data: bytes, places: list[int], limit: int) -> None:
    lines = Lines(limit)
    found = [line for chunk in cut(data, places) for line in lines.feed(chunk)]
    assert b"".join([*found, lines.rest()]) == data.replace(b"\n", b"")


def test_an_endless_line_is_not_kept() -> None:
    lines = Lines(4)
    assert [lines.feed(b"abc"), lines.feed(b"def"), lines.rest()] == [[], [b"abcdef"], b""]


@given(
    st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2)), st.lists(st.integers(min_value=0))
)
def test_events_do_not_depend_on_the_cuts(objects: list[dict[str, str]], places: list[int]) -> None:
    wire = b"".join(json.dumps({"type": "ADDED", "object": one}).encode() + b"\n" for one in objects)
    lines = Lines()
    events = [decode(line) for chunk in cut(wire, places) for line in lines.feed(chunk)]
    assert events == [("ADDED", one) for one in objects]


@pytest.mark.parametrize("line", [b"", b"<html>", b'{"type": "NEW", "object": {}}', b'{"type": "ADDED"}'])
def test_what_is_no_event_is_a_broken_connection(line: bytes) -> None:
    with pytest.raises(ConnectionFailed, match="garbled"):
        decode(line)
