"""The grammar of .env files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innerloop.config import dotenv
from innerloop.errors import LoopError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=b", "b"),
        ("  A = b  ", "b"),
        ("export A=b", "b"),
        ("A=", ""),
        ("A= # none", ""),
        ("A=b # comment", "b"),
        ("A=b#c", "b#c"),
        ("A=b c=d", "b c=d"),
        ("A='b # c'", "b # c"),
        ('A="b # c" # d', "b # c"),
        (r'A="a\nb\t\"\\"', 'a\nb\t"\\'),
        (r"A='a\nb'", r"a\nb"),
        ('A="two\nlines"', "two\nlines"),
        ("A='two\nlines'", "two\nlines"),
        ('A="pa$word"', "pa$word"),
        ("A=$(date)", "$(date)"),
        ("A=http://x/?a=1&b=2", "http://x/?a=1&b=2"),
        ("\ufeffA=b\r\n", "b"),
        ("A=b\nA=c", "c"),
    ],
)
def test_a_value_is_read_as_compose_reads_it(text: str, value: str) -> None:
    assert dotenv.parse(text, ".env")["A"].scalar.text == value


def test_single_quotes_make_a_value_literal() -> None:
    assigned = dotenv.parse("A='${B}'\nC=${B}\nD=\"${B}\"\n", ".env")
    assert [one.literal for one in assigned.values()] == [True, False, False]


def test_an_escaped_dollar_begins_no_variable() -> None:
    assert dotenv.parse(r'A="\${B} \$5"', ".env")["A"].scalar.text == "$${B} $5"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("A=1\nnonsense\n", ".env:2:1: 'nonsense' is no assignment"),
        ("\n1A=2\n", ".env:2:1: '1A' is no assignment"),
        ("A='b\n", ".env:1:3: the quote ' is never closed"),
        ("A='b'c\n", ".env:1:6: text after the closing quote"),
    ],
)
def test_what_is_no_assignment_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(LoopError) as caught:
        dotenv.parse(text, ".env")
    assert str(caught.value) == told


@given(st.text())
def test_any_text_is_read_or_told_wrong(text: str) -> None:
    try:
        dotenv.parse(text, ".env")
    except LoopError as told:
        assert told.where is not None
