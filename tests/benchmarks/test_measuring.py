from __future__ import annotations

import pytest

from bench.measuring import Figure, shown

HUNDRED = Figure("save", "s", tuple(number / 1000 for number in range(100, 0, -1)))


@pytest.mark.parametrize(("share", "expected"), [(50, 0.050), (90, 0.090), (99, 0.099), (100, 0.100)])
def test_a_percentile_is_a_sample_that_so_many_do_not_exceed(share: int, expected: float) -> None:
    assert HUNDRED.percentile(share) == expected


def test_the_99th_percentile_of_few_samples_is_the_largest() -> None:
    assert Figure("save", "s", (0.3, 0.1, 0.2)).percentile(99) == 0.3


def test_a_single_sample_is_every_percentile() -> None:
    assert Figure("save", "s", (0.3,)).percentile(1) == 0.3


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.0031, "s", "3.1 ms"),
        (0.137, "s", "137 ms"),
        (2.6, "s", "2.60 s"),
        (-0.015, "s", "-15.0 ms"),
        (1.5, "×", "1.50 ×"),
        (0, "", "0"),
        (81_920_000, "", "81920000"),
    ],
)
def test_values_are_shown_in_a_unit_that_is_easy_to_compare(value: float, unit: str, expected: str) -> None:
    assert shown(value, unit) == expected
