"""Texts that are cut to what a forge takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from innerloop.gitops.forges import wording

_MARKDOWN = st.lists(
    st.sampled_from(["a line of text", "```diff", "```", "+ a", "````", "<details>", "</details>", "", "ü" * 50])
).map("\n".join)


@given(_MARKDOWN, st.integers(300, 1000))
def test_a_text_is_never_longer_than_the_limit(text: str, limit: int) -> None:
    assert len(wording.body(text, limit, "GitHub")) <= limit


@given(_MARKDOWN)
def test_a_text_within_the_limit_stays_as_it_is(text: str) -> None:
    assert wording.body(text, max(len(text), 1), "GitHub") == text


def test_a_cut_is_at_the_end_of_a_line_and_told() -> None:
    cut = wording.body("a line of text\n" * 100, 300, "GitHub")
    lines = cut.splitlines()
    assert set(lines[:-2]) == {"a line of text"}
    assert lines[-1] == "*Cut here: it is longer than GitHub takes.*"


def test_what_a_cut_leaves_open_is_closed() -> None:
    cut = wording.body("<details>\n\n```diff\n" + "+ a\n" * 200 + "```\n\n</details>\n", 300, "GitHub")
    assert cut.splitlines()[-6:-1] == ["+ a", "```", "", "</details>", ""]


@given(st.text(), st.integers(2, 50))
def test_a_title_is_one_line_within_the_limit(text: str, limit: int) -> None:
    title = wording.title(text, limit)
    assert len(title) <= limit and len(title.splitlines()) <= 1
