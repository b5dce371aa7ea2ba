from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from innerloop.cluster.builtin.dns import HEADER, has_answer, question

numbers = st.integers(0, 0xFFFF)


@given(numbers, st.lists(st.text("abc0-", min_size=1, max_size=63), min_size=1, max_size=3))
def test_a_question_spells_its_labels(number: int, labels: list[str]) -> None:
    message = question(".".join(labels), number)
    assert HEADER.unpack_from(message) == (number, 0x0100, 1, 0, 0, 0)
    position, found = HEADER.size, []
    while length := message[position]:
        found.append(message[position + 1 : position + 1 + length].decode())
        position += length + 1
    assert found == labels
    assert struct.unpack_from("!HH", message, position + 1) == (1, 1)


@given(st.binary(max_size=40), numbers)
def test_any_bytes_are_judged_without_an_error(message: bytes, number: int) -> None:
    assert has_answer(message, number) in (True, False)


def test_only_a_positive_answer_to_the_same_question_counts() -> None:
    answered, refused, empty = 0x8180, 0x8183, 0x8180
    assert has_answer(HEADER.pack(7, answered, 1, 1, 0, 0), 7)
    assert not has_answer(HEADER.pack(8, answered, 1, 1, 0, 0), 7)
    assert not has_answer(HEADER.pack(7, refused, 1, 1, 0, 0), 7)
    assert not has_answer(HEADER.pack(7, empty, 1, 0, 0, 0), 7)
