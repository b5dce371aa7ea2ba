from __future__ import annotations

import itertools

import pytest

from bench.torture import FILES, SAVES_COUNT, SECONDS, SIZES, schedule, version


def test_the_schedule_is_in_the_order_of_time_and_of_the_size_told() -> None:
    steps = schedule(seed=1)
    assert len(steps) == SAVES_COUNT
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    assert all(0 <= step.at < SECONDS and 0 <= step.file < FILES for step in steps)


def test_the_schedule_has_pairs_of_equal_size_at_the_same_moment() -> None:
    steps = schedule(seed=1)
    assert sum(one == other for one, other in itertools.pairwise(steps)) > SAVES_COUNT / 10


def test_the_schedule_has_pairs_of_equal_size_later_within_a_second_of_the_clock() -> None:
    seen: dict[tuple[int, int, int], float] = {}
    pairs = 0
    for step in schedule(seed=1):
        key = (step.file, step.size, int(step.at))
        pairs += key in seen and step.at > seen[key]
        seen[key] = step.at
    assert pairs > SAVES_COUNT / 20


@pytest.mark.parametrize("size", SIZES)
def test_versions_of_a_file_differ_and_have_the_size_asked_for(size: int) -> None:
    assert len(version(1, size)) == len(version(123, size)) == size
    assert version(1, size) != version(2, size)
