"""Times of log lines, and resuming without loss or doubles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from innerloop.dev.log_lines import Position, StampedLine, nanoseconds, split_line


@pytest.mark.parametrize(
    ("line", "time", "text"),
    [
        (b"2026-11-23T07:39:00.123456789Z hello world", "2026-11-23T07:39:00.123456789Z", "hello world"),
        (b"2026-11-23T07:39:00Z ", "2026-11-23T07:39:00Z", ""),
        (b"2026-11-23T09:39:00.5+02:00  two blanks", "2026-11-23T09:39:00.5+02:00", " two blanks"),
        (b"2026-11-23T07:39:00.1Z from a terminal\r", "2026-11-23T07:39:00.1Z", "from a terminal"),
        (b"2026-11-23T07:39:00.1Z caf\xe9 \xff", "2026-11-23T07:39:00.1Z", "caf\ufffd \ufffd"),
        (b"the rest of a long line", "", "the rest of a long line"),
        (b"", "", ""),
    ],
)
def test_time_is_split_off(line: bytes, time: str, text: str) -> None:
    assert split_line(line) == (time, text)


@settings(deadline=None)
@given(st.binary())
def test_any_line_can_be_read(line: bytes) -> None:
    assert isinstance(split_line(line), StampedLine)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-11-23T07:39:00Z", "2026-11-23T07:39:00.000000001Z"),
        ("2026-11-23T07:39:00.12Z", "2026-11-23T07:39:00.2Z"),
        ("2026-11-23T09:39:00.2+02:00", "2026-11-23T07:39:00.3Z"),
    ],
)
def test_times_compare_as_times(earlier: str, later: str) -> None:
    assert nanoseconds(earlier) < nanoseconds(later)


def test_same_moment_in_two_zones() -> None:
    assert nanoseconds("2026-11-23T09:39:00.20+02:00") == nanoseconds("2026-11-23T07:39:00.2Z")


GAPS = st.lists(st.just(0) | st.integers(0, 4_000_000_000), max_size=40)


@settings(deadline=None)
@given(GAPS, st.lists(st.integers(0, 60), max_size=8))
def test_resuming_loses_and_doubles_nothing(gaps: list[int], breaks: list[int]) -> None:
    """Wherever the connection breaks, each line comes once; gaps of 0 ns make lines of the same time."""
    log, position = _log(gaps), Position()
    received: list[StampedLine] = []
    for count in (*breaks, len(log)):
        position.resume()
        received += [line for line in _since(log, position.time)[:count] if position.take(line)]
    assert received == log


def test_rest_of_an_old_line_is_old() -> None:
    position = Position()
    line, rest = StampedLine("2026-11-23T07:39:00Z", "a"), StampedLine("", "rest")
    assert [position.take(line), position.take(rest)] == [True, True]
    position.resume()
    assert [position.take(line), position.take(rest)] == [False, False]


def _log(gaps: list[int]) -> list[StampedLine]:
    """Lines with these nanoseconds between them."""
    start, passed, log = datetime(2026, 11, 23, tzinfo=UTC), 0, []
    for number, gap in enumerate(gaps):
        passed += gap
        moment = start + timedelta(seconds=passed // 10**9)
        log.append(StampedLine(f"{moment:%Y-%m-%dT%H:%M:%S}.{passed % 10**9:09d}Z", f"line {number}"))
    return log


def _since(log: list[StampedLine], time: str) -> list[StampedLine]:
    """What the server sends: cut to whole seconds."""
    if not time:
        return log
    second = nanoseconds(time) // 10**9 * 10**9
    return [line for line in log if nanoseconds(line.time) >= second]
