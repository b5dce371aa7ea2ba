"""What an unquoted scalar means, compared with helm, which reads by the same library as kubectl."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from innerloop.config.scalars import resolve
from innerloop.config.yaml import load_all
from tests.config.go_tools import helm_values

LISTED = """
0644 0o644 0O17 0b11 0B11 -0b11 0x1F 0X1f 0xg 0x 010 0777_7 -0644 08 09.5 00 0_7 0x_1 1_000 1__0 1_ _1 1e3 1E3 1e+3
1e-3 .5 +.5 -.5 .5e3 .1_0 ._1 1. 1.e3 e3 +12 -0 -0.0 1.0 1.50 --1 + 1e400 1e20 7e016 123456789012345678901234567890
9223372036854775807 9223372036854775808 18446744073709551615 +18446744073709551615 -9223372036854775808
yes Yes YES yEs no No NO y Y n N on On ON off Off true True TRUE tRUE false null Null NULL ~ nil none
12:30:45 8080:50 2026-11-23 2026-11-23T10:00:00Z 1.2.3 10.0.0.1 100m 1Gi v1 = . .. 5e 0b 0b102 1,000 <<
""".split()

words = st.sampled_from([word for word in LISTED if word != "<<"])
numbers = st.from_regex(r"[-+]?[0-9.][0-9a-fA-FxXoObB_.eE+:-]{0,12}", fullmatch=True)


def as_read_by_us(texts: list[str]) -> list[Any]:
    return list(load_all(_document(texts), "values.yaml")[0]["list"])


@pytest.mark.cluster
def test_the_listed_scalars_mean_what_helm_reads(helm: list[str], tmp_path: Path) -> None:
    _assert_equal(LISTED, as_read_by_us(LISTED), helm_values(helm, tmp_path, _document(LISTED))["list"])


@pytest.mark.cluster
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(words | numbers, min_size=60, max_size=60))
def test_generated_scalars_mean_what_helm_reads(helm: list[str], tmp_path: Path, texts: list[str]) -> None:
    texts = [text for text in texts if text not in ("-", "---", "...") and not text.endswith(":")]
    _assert_equal(texts, as_read_by_us(texts), helm_values(helm, tmp_path, _document(texts))["list"])


@pytest.mark.parametrize(
    ("text", "value"),
    [("0644", 420), ("0o644", 420), ("08", 8), ("1e3", 1000), ("on", True), ("y", True), ("~", None)],
)
def test_kubernetes_tools_read_more_than_text(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@pytest.mark.parametrize("text", ["8080:50", "12:30:45", "2026-11-23", "1.2.3", "yEs", "100m"])
def test_text_stays_text(text: str) -> None:
    assert resolve(text) == text


@given(st.text())
def test_every_text_has_a_meaning(text: str) -> None:
    assert isinstance(resolve(text), (str, int, float, bool, type(None)))


def _document(texts: list[str]) -> str:
    return "list:\n" + "".join(f"- {text}\n" for text in texts)


def _assert_equal(texts: list[str], ours: list[Any], theirs: list[Any]) -> None:
    different = [(text, a, b) for text, a, b in zip(texts, ours, theirs, strict=True) if not _same(a, b)]
    assert different == []


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, (bool, str, type(None))) or isinstance(theirs, (bool, str, type(None))):
        return bool(ours is theirs or (type(ours) is type(theirs) and ours == theirs))
    # helm's values are float64, where integers above 2^53 lose their last digits; ours do not
    return float(ours) == float(theirs)
