"""The merge as a function, against a model of two sides."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innerloop.dev.sync.local_tree import FILE, FOLDER, LINK, Entry
from innerloop.dev.sync.merging import Decision, begin, merge, same, without_sending
from innerloop.project import Strategy

contents = st.sampled_from([b"", b"x", b"y"])
modes = st.sampled_from([0o644, 0o755])
entries = st.one_of(
    st.none(),
    st.builds(lambda content, mode: Entry(FILE, mode, len(content), hashlib.sha256(content).digest()), contents, modes),
    st.builds(lambda content: Entry(LINK, 0, len(content), hashlib.sha256(content).digest()), contents),
    st.builds(lambda mode: Entry(FOLDER, mode, 0, bytes(32)), modes),
)
strategies: list[Strategy] = ["preferLocal", "preferRemote", "preferNewest", "mirrorLocal", "mirrorRemote", "keepAll"]


class Sides(NamedTuple):
    local: Entry | None
    base: Entry | None
    remote: Entry | None
    beside: Entry | None = None


def carry_out(decision: Decision, sides: Sides) -> Sides:
    """What a decision does to both sides, and to what they have agreed on."""
    local, _, remote, _ = sides
    match decision:
        case Decision.UPLOAD | Decision.DELETE_THERE:
            return Sides(local, local, local)
        case Decision.DOWNLOAD | Decision.DELETE_HERE:
            return Sides(remote, remote, remote)
        case Decision.CONFLICT:
            return Sides(local, local, local, remote)
        case Decision.AGREED:
            return Sides(local, local, remote)
        case _:
            return sides


def changed(now: Entry | None, base: Entry | None) -> bool:
    return now is not None and not same(now, base)


@given(entries, entries, entries)
def test_both_sides_have_the_same_after_a_merge(local: Entry | None, base: Entry | None, remote: Entry | None) -> None:
    after = carry_out(merge(local, base, remote), Sides(local, base, remote))
    assert same(after.local, after.remote)


@given(entries, entries, entries)
def test_what_either_side_wrote_survives_a_merge(local: Entry | None, base: Entry | None, remote: Entry | None) -> None:
    after = carry_out(merge(local, base, remote), Sides(local, base, remote))
    for wrote in (local, remote):
        assert not changed(wrote, base) or any(same(wrote, one) for one in after)


@given(entries, entries, entries)
def test_what_this_machine_wrote_keeps_its_name(local: Entry | None, base: Entry | None, remote: Entry | None) -> None:
    after = carry_out(merge(local, base, remote), Sides(local, base, remote))
    assert not changed(local, base) or same(after.local, local)


@given(entries, entries, entries)
def test_a_second_merge_does_nothing(local: Entry | None, base: Entry | None, remote: Entry | None) -> None:
    after = carry_out(merge(local, base, remote), Sides(local, base, remote))
    assert merge(after.local, after.base, after.remote) == Decision.NOTHING


@given(entries, entries)
def test_a_side_that_changed_nothing_gets_what_the_other_has(base: Entry | None, new: Entry | None) -> None:
    assert same(carry_out(merge(base, base, new), Sides(base, base, new)).local, new)
    assert same(carry_out(merge(new, base, base), Sides(new, base, base)).remote, new)


@given(entries, entries, entries)
def test_nothing_is_sent_where_only_the_containers_changes_are_carried(
    local: Entry | None, base: Entry | None, remote: Entry | None
) -> None:
    merged, decision = merge(local, base, remote), without_sending(merge(local, base, remote))
    assert decision not in (Decision.UPLOAD, Decision.DELETE_THERE)
    assert decision in (merged, Decision.NOTHING)


@given(entries, entries, st.sampled_from(strategies), st.booleans())
def test_a_first_comparison_ends_equal_unless_it_keeps_apart(
    local: Entry | None, remote: Entry | None, strategy: Strategy, newer: bool
) -> None:
    decision = begin(strategy, local, remote, newer_there=newer)
    after = carry_out(decision, Sides(local, None, remote))
    assert same(after.local, after.remote) or (decision == Decision.APART and strategy == "keepAll")


ONE = Entry(FILE, 0o644, 1, b"1" * 32)
TWO = Entry(FILE, 0o644, 1, b"2" * 32)
AN_EMPTY_FOLDER = Entry(FOLDER, 0o755, 0, bytes(32))


@pytest.mark.parametrize(
    ("strategy", "both", "only_here", "only_there"),
    [
        ("preferLocal", Decision.UPLOAD, Decision.UPLOAD, Decision.DOWNLOAD),
        ("preferRemote", Decision.DOWNLOAD, Decision.UPLOAD, Decision.DOWNLOAD),
        ("preferNewest", Decision.UPLOAD, Decision.UPLOAD, Decision.DOWNLOAD),
        ("mirrorLocal", Decision.UPLOAD, Decision.UPLOAD, Decision.DELETE_THERE),
        ("mirrorRemote", Decision.DOWNLOAD, Decision.DELETE_HERE, Decision.DOWNLOAD),
        ("keepAll", Decision.APART, Decision.UPLOAD, Decision.DOWNLOAD),
    ],
)
def test_strategies_decide_the_first_comparison(
    strategy: Strategy, both: Decision, only_here: Decision, only_there: Decision
) -> None:
    assert begin(strategy, ONE, TWO) == both
    assert begin(strategy, ONE, None) == only_here
    assert begin(strategy, None, TWO) == only_there
    assert begin(strategy, ONE, ONE) == Decision.AGREED


def test_newer_file_of_the_container_is_preferred_but_not_over_another_kind() -> None:
    assert begin("preferNewest", ONE, TWO, newer_there=True) == Decision.DOWNLOAD
    assert begin("preferNewest", ONE, AN_EMPTY_FOLDER, newer_there=True) == Decision.CONFLICT
