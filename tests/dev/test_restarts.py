"""Who waits for the end of a process is told when it was replaced, and only then."""

from __future__ import annotations

from typing import Literal

from innerloop.dev.restarts import Restarts
from innerloop.events import ProcessState

State = Literal["running", "exited", "restarting"]


def tell(restarts: Restarts, *states: State, service: str = "web", pod: str = "web-1") -> None:
    for state in states:
        restarts(ProcessState(service=service, pod=pod, container="app", state=state))


def told_by(restarts: Restarts, *states: State, **place: str) -> bool:
    """Whether somebody who waits is told by these states of a process."""
    replaced = restarts.replacement("web", "web-1")
    tell(restarts, *states, **place)
    return replaced.is_set()


def test_a_process_that_was_replaced_is_told() -> None:
    assert told_by(Restarts(), "restarting", "running")


def test_one_that_could_not_be_started_again_is_told() -> None:
    assert told_by(Restarts(), "restarting", "exited")


def test_one_that_only_begins_to_end_is_not_told() -> None:
    assert not told_by(Restarts(), "restarting")


def test_a_stream_that_is_opened_again_tells_of_no_restart() -> None:
    assert not told_by(Restarts(), "running", "running")


def test_another_service_in_the_same_pod_is_not_told() -> None:
    assert not told_by(Restarts(), "restarting", "running", service="jobs")


def test_who_comes_after_a_restart_waits_for_the_next() -> None:
    restarts = Restarts()
    assert told_by(restarts, "restarting", "running")
    assert not told_by(restarts)
    assert told_by(restarts, "restarting", "running")
