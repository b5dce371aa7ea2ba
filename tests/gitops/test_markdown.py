"""Differences as Markdown, read by a parser of CommonMark."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from innerloop.gitops.differences.differences import Difference, compare
from innerloop.gitops.differences.markdown import Change, comment, counted, details
from innerloop.manifest import Manifest, ObjectKey

_LINES = st.lists(st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from("``` ~<>|#"), max_size=30))


def difference(text: str = "@@ -1 +1 @@\n-a\n+b", name: str = "web", kind: str = "changed") -> Difference:
    key = ObjectKey("apps/v1", "Deployment", "vote", name)
    return Difference(key, kind, text)  # type: ignore[arg-type]


def parsed(markdown: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(markdown)


def fences(markdown: str) -> list[str]:
    return [token.content for token in parsed(markdown) if token.type == "fence"]


def test_an_environment_is_a_row_and_a_heading() -> None:
    changes = [
        Change("dev", [difference(), difference(kind="added"), difference(kind="added")]),
        Change("stage", []),
    ]
    assert comment(changes).startswith(
        "| environment | added | changed | removed |\n"
        "|---|---:|---:|---:|\n"
        "| dev | 2 | 1 |  |\n"
        "| stage |  |  |  |\n"
        "\n"
        "### dev\n"
        "\n"
        "<details><summary>~ <code>Deployment/web in vote</code></summary>\n"
        "\n"
        "```diff\n"
        "@@ -1 +1 @@\n"
    )


def test_counts_are_told_in_words() -> None:
    assert counted([difference(), difference(kind="removed")]) == "1 changed, 1 removed"
    assert counted([]) == "no differences"


def test_the_same_differences_give_the_same_text() -> None:
    changes = [Change(name, [difference(f"@@\n+{n}", str(n)) for n in range(9)]) for name in ("dev", "stage")]
    assert comment(changes) == comment(changes)


@given(_LINES)
def test_nothing_breaks_out_of_its_code_block(lines: list[str]) -> None:
    text = "\n".join(["@@ -1 +1 @@", *(f" {line}" for line in lines)])
    assert fences(details([difference(text), difference()])) == [f"{text}\n", f"{difference().text}\n"]


@given(st.text(min_size=1, max_size=20))
def test_no_name_becomes_markup(name: str) -> None:
    tokens = parsed(comment([Change("dev", [difference(name=name)])]))
    blocks = ("html_block", "fence", "heading_open", "paragraph_open")
    expected = ["heading_open", "html_block", "fence", "html_block"]
    assert [token.type for token in tokens if token.type in blocks] == expected
    [summary, _] = [token.content for token in tokens if token.type == "html_block"]
    assert summary.count("<") == len(["<details>", "<summary>", "<code>", "</code>", "</summary>"])


@given(st.text("`|*_[]<>#\\-x", min_size=1, max_size=12))
def test_no_name_of_an_environment_becomes_markup(name: str) -> None:
    tokens = parsed(comment([Change(name, [difference()])]))
    heading = tokens[[token.type for token in tokens].index("heading_open") + 1]
    assert heading.children is not None
    assert "".join(child.content for child in heading.children) == name
    assert {child.type for child in heading.children} <= {"text", "text_special"}


@given(
    st.lists(st.tuples(st.integers(1, 400), st.integers(0, 6)), max_size=12),
    st.integers(1_500, 12_000),
)
def test_it_stays_within_its_limit_and_every_block_is_closed(sizes: list[tuple[int, int]], limit: int) -> None:
    many = [difference("\n".join(["+" + "`" * ticks + "x" * 20] * lines), f"web-{lines}") for lines, ticks in sizes]
    made = details(many, limit=limit)
    assert len(made) <= limit
    assert made.count("<details>") == made.count("</details>") == len(fences(made))


def test_what_was_cut_is_told() -> None:
    made = details([difference("\n".join(f"+{n:020}" for n in range(100))), difference(name="late")], limit=2_500)
    [shown] = fences(made)
    missing = 100 - shown.count("\n")
    assert f"*Cut here, {missing} more lines.*" in made
    assert "- ~ <code>Deployment/late in vote</code>" in made


def test_names_that_have_no_room_are_counted() -> None:
    made = details([difference(name=f"web-{n}") for n in range(1_000)], limit=2_000)
    assert "more" in made.splitlines()[-1]


def test_a_secret_in_a_comment_has_no_values() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"password": "hunter2"}}
    assert "hunter2" not in comment([Change("dev", compare([], [Manifest(secret)]))])
