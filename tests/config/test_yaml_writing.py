"""YAML that any parser reads back to the same values, and that people like to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from innerloop.config.yaml import dump_all, load_all
from tests.config.go_tools import helm_values, kustomized

TRICKY = [
    "", "yes", "n", "0644", "1e3", "null", "~", "12:30:45", "2026-11-23", "...", "---", "<<", "=", "-", "- a", "--app",
    "a: b", "a #b", "a:", " a", "a ", "#a", "&a", "*a", "!a", "|", ">", "%a", "@a", "`a", "'a'", '"a"', "a\\b", "[a]",
    "{{ .Values.x }}", "a\nb", "a\nb\n", "a\n\n", "\na", " a\nb", "a\n b\n", "\ta\nb", "a \nb", "\n", "a\r\nb",
    "é", "日本", "😀", "a\u2028b", "\ufeffa", "\x07", "a\tb", "?", "? a", "key with space", "::", "$(NAME)", "0o17",
]  # fmt: skip

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(TRICKY)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_what_was_written_reads_back_the_same(value: Any) -> None:
    assert load_all(dump_all([{"value": value}]), "x") == [{"value": value}]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_read_back_the_same(value: float) -> None:
    assert load_all(dump_all([[value]]), "x") == [[value]]


@pytest.mark.cluster
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=st.lists(values, min_size=20, max_size=30))
def test_helm_reads_the_same_values(helm: list[str], tmp_path: Path, items: list[Any]) -> None:
    wanted = {"list": [*TRICKY, *items]}
    assert helm_values(helm, tmp_path, dump_all([wanted])) == wanted


@pytest.mark.cluster
def test_kustomize_reads_the_same_text(kustomize: list[str], tmp_path: Path) -> None:
    # kustomize 5 reads a text that begins with a tab, and cannot read what it then writes itself
    data = {f"key-{number}": text for number, text in enumerate(TRICKY) if not text.startswith("\t")}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}, "data": data}
    assert kustomized(kustomize, tmp_path, dump_all([manifest])) == [manifest]


def test_it_looks_as_people_write_it() -> None:
    document = {
        "kind": "ConfigMap",
        "data": {"greeting": "Grüße, 日本 😀", "mode": "0644", "script": "set -e\necho hi\n", "empty": ""},
        "list": [{"name": "a", "args": ["--port", "80", 80, None, True]}, []],
    }
    assert dump_all([document]) == (
        "kind: ConfigMap\n"
        "data:\n"
        "  greeting: Grüße, 日本 😀\n"
        '  mode: "0644"\n'
        "  script: |\n"
        "    set -e\n"
        "    echo hi\n"
        '  empty: ""\n'
        "list:\n"
        "- name: a\n"
        "  args:\n"
        "  - --port\n"
        '  - "80"\n'
        "  - 80\n"
        "  - null\n"
        "  - true\n"
        "- []\n"
    )


def test_documents_are_separated() -> None:
    assert dump_all([{"a": 1}, {"b": 2}]) == "a: 1\n---\nb: 2\n"


def test_long_text_is_not_folded() -> None:
    text = "word " * 100 + "end"
    assert dump_all([{"a": text}]) == f"a: {text}\n"
