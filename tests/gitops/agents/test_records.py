"""What is kept on an object that sessions hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from innerloop.gitops.agents.asks import Ask, LeaveFields, LeaveObject, LeavePlaces, Pause
from innerloop.gitops.agents.ownership import Target, key_of
from innerloop.gitops.agents.records import ANNOTATION, NOTICE, Record, Session, record_of, with_record
from tests.gitops.agents import marked
from tests.gitops.agents.marked import Object

ASKS: list[Ask] = [
    LeaveFields(key_of(marked.deployment()), "innerloop"),
    LeaveFields(key_of(marked.deployment("worker")), "innerloop"),
    LeavePlaces(Target("argoproj.io", "Application", "argocd", "child"), ("/spec/syncPolicy",)),
    Pause(),
    LeaveObject(),
]
POLICIES: st.SearchStrategy[Object] = st.sampled_from(
    [
        {},
        {"automated": {}},
        {"automated": {"prune": True, "selfHeal": True}},
        {"automated": {"prune": False, "selfHeal": False}, "syncOptions": []},
        {"automated": {"prune": True}, "syncOptions": ["CreateNamespace=true", "RespectIgnoreDifferences=false"]},
    ]
)
RULES = st.sampled_from([[], [{"kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]])


@st.composite
def applications(draw: st.DrawFn) -> Object:
    found = marked.application(policy=draw(POLICIES))
    if rules := draw(RULES):
        found["spec"]["ignoreDifferences"] = rules
    if draw(st.booleans()):
        found["metadata"]["annotations"] = {"team": "shop"}
    if draw(st.booleans()):
        del found["spec"]["syncPolicy"]
    return found


def session(id: str, minutes: int = 10) -> Session:
    now = datetime.now(UTC)
    return Session(
        id=id,
        holder="ann@laptop",
        reason="loop dev of vote",
        folder="/src/vote",
        since=now.isoformat(),
        expires=(now + timedelta(minutes=minutes)).isoformat(),
    )


def join(object: Object, id: str, asks: list[Ask]) -> Object:
    before = record_of(object) or Record()
    return with_record(object, before.joined(session(id), asks), before)[0]


def leave(object: Object, id: str) -> Object:
    before = record_of(object) or Record()
    return with_record(object, before.left([id]), before)[0]


def text(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")


@given(applications(), st.lists(st.sampled_from(ASKS), min_size=1))
def test_what_one_session_asked_is_given_back_byte_for_byte(found: Object, asks: list[Ask]) -> None:
    assert text(leave(join(found, "one", asks), "one")) == text(found)


@given(
    applications(),
    st.lists(st.sampled_from(ASKS), min_size=1),
    st.lists(st.sampled_from(ASKS), min_size=1),
    st.permutations(["one", "two"]),
)
def test_the_last_of_two_sessions_gives_it_back_whoever_that_is(
    found: Object, first: list[Ask], second: list[Ask], order: list[str]
) -> None:
    both = join(join(found, "one", first), "two", second)
    alone = leave(both, order[0])
    assert text(alone["spec"]) == text(join(found, order[1], second if order[1] == "two" else first)["spec"])
    assert text(leave(alone, order[1])) == text(found)


@given(applications(), st.lists(st.sampled_from(ASKS), min_size=1), st.lists(st.sampled_from(ASKS), min_size=1))
def test_a_session_may_ask_for_something_else_later(found: Object, first: list[Ask], later: list[Ask]) -> None:
    changed = join(join(found, "one", first), "one", later)
    assert text(changed["spec"]) == text(join(found, "one", later)["spec"])
    assert text(leave(changed, "one")) == text(found)


@given(applications(), st.lists(st.sampled_from(ASKS), min_size=1))
def test_what_argo_cd_has_written_meanwhile_is_given_back_all_the_same(found: Object, asks: list[Ask]) -> None:
    held = join(found, "one", asks)
    held["spec"] = written_by_argo_cd(held["spec"])
    assert text(written_by_argo_cd(leave(held, "one")["spec"])) == text(written_by_argo_cd(found["spec"]))


def written_by_argo_cd(spec: Object) -> Object:
    """Without what is empty or false: its types leave that out, but for an ``automated`` of which nothing is left."""
    within = {name: written_by_argo_cd(one) if isinstance(one, dict) else one for name, one in spec.items()}
    return {name: one for name, one in within.items() if one or name == "automated"}


@given(applications())
def test_an_object_whose_record_was_removed_is_given_back_by_what_the_lease_knows(found: Object) -> None:
    held = join(found, "one", [ASKS[0]])
    known = record_of(held)
    assert known is not None
    without = {**held, "metadata": {**held["metadata"], "annotations": {}}}
    given_back = with_record(without, Record(), Record(changes=known.changes))[0]
    assert text(given_back["spec"]) == text(found["spec"])


def test_what_others_changed_meanwhile_stays() -> None:
    held = join(marked.application(), "one", [ASKS[0]])
    held["spec"]["project"] = "theirs"
    held["spec"]["syncPolicy"]["syncOptions"].append("CreateNamespace=true")
    found = leave(held, "one")["spec"]
    assert found["project"] == "theirs"
    assert found["syncPolicy"] == {**marked.HEALING, "syncOptions": ["CreateNamespace=true"]}


def test_an_application_shows_who_it_waits_for() -> None:
    held = join(marked.application(), "one", [ASKS[0]])
    assert "loop dev of vote by ann@laptop until" in held["metadata"]["annotations"][NOTICE]


@pytest.mark.parametrize("damaged", ["", "{", '{"parties": 1}'])
def test_a_damaged_record_is_none(damaged: str) -> None:
    found = marked.application(annotations={ANNOTATION: damaged})
    assert record_of(found) is None


@pytest.mark.parametrize(("minutes", "expired"), [(-1, True), (1, False)])
def test_a_session_is_expired_behind_its_time(minutes: int, expired: bool) -> None:
    assert session("one", minutes).is_expired(datetime.now(UTC)) is expired
