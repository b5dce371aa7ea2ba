"""Undoing what was changed, exactly and beside what others changed."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from innerloop.gitops.agents.changes import Change, changes, json_patch, undone

LEAVES = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "b"])
KEYS = st.sampled_from(["a", "b", "a/b", "c~d"])
OBJECTS = st.recursive(
    st.dictionaries(KEYS, LEAVES | st.lists(LEAVES | st.dictionaries(KEYS, LEAVES, max_size=2), max_size=3)),
    lambda inner: st.dictionaries(KEYS, inner | LEAVES, max_size=3),
    max_leaves=8,
)


def text(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")


@given(OBJECTS, OBJECTS)
def test_what_was_changed_is_undone_byte_for_byte(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert text(undone(after, changes(before, after))) == text(before)


@given(OBJECTS, OBJECTS)
def test_changes_survive_being_written_and_read(before: dict[str, Any], after: dict[str, Any]) -> None:
    made = changes(before, after)
    assert msgspec.json.decode(msgspec.json.encode(made), type=tuple[Change, ...]) == made


@given(OBJECTS, OBJECTS)
def test_the_patch_makes_the_changes(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert text(patched(before, json_patch(changes(before, after)))) == text(after)


@given(OBJECTS, OBJECTS, LEAVES)
def test_what_others_change_elsewhere_stays(before: dict[str, Any], after: dict[str, Any], theirs: Any) -> None:
    made = changes(before, after)
    assert text(undone({**after, "theirs": theirs}, made)) == text({**before, "theirs": theirs})


def test_of_a_list_that_others_added_to_only_our_entries_go() -> None:
    made = changes({"rules": ["first"]}, {"rules": ["first", "ours"]})
    assert undone({"rules": ["first", "ours", "theirs"]}, made) == {"rules": ["first", "theirs"]}


def test_a_list_that_we_made_and_others_added_to_stays_without_ours() -> None:
    made = changes({}, {"policy": {"options": ["ours"]}})
    assert undone({"policy": {"options": ["ours", "theirs"]}}, made) == {"policy": {"options": ["theirs"]}}


def test_what_others_have_set_otherwise_stays_theirs() -> None:
    made = changes({"prune": True}, {"prune": False})
    assert undone({"prune": "theirs"}, made) == {"prune": "theirs"}


def test_what_was_taken_out_comes_back_though_its_surroundings_were_dropped_as_empty() -> None:
    made = changes({"policy": {"automated": {}, "options": []}}, {"policy": {"options": []}})
    assert undone({}, made) == {"policy": {"automated": {}}}


def test_nothing_is_made_where_the_surroundings_are_gone() -> None:
    made = changes({"policy": {"prune": True, "heal": True}}, {"policy": {"prune": False, "heal": True}})
    assert undone({}, made) == {}


def patched(object: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """As RFC 6902 says, for the operations that there are."""
    result = msgspec.json.decode(msgspec.json.encode(object))
    for operation in operations:
        *path, last = [key.replace("~1", "/").replace("~0", "~") for key in operation["path"].split("/")[1:]]
        place = result
        for key in path:
            place = place[key]
        assert (last in place) is (operation["op"] != "add")
        if operation["op"] == "remove":
            del place[last]
        else:
            place[last] = operation["value"]
    return dict(result)
