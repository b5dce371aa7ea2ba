"""Profiles: what they patch, and what activates them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from innerloop.errors import LoopError
from innerloop.project import Project

Read = Callable[..., Project]
Failure = Callable[..., LoopError]

BASE = """\
images: {web: {context: web, target: prod, args: {A: 1, B: 2}}}
dev: {web: {command: run, restart: ["*.py", "*.html"]}}
hooks: {ready: echo ready}
"""


def profile(patch: str, when: str = "") -> str:
    return f"{BASE}profiles:\n  p:\n" + (f"    when: {when}\n" if when else "") + f"    {patch}\n"


def test_mappings_merge_and_scalars_replace(read: Read) -> None:
    project = read(profile("images: {web: {target: debug, args: {B: 3, C: 4}}}"), profiles=("p",))
    assert (project.images["web"].target, project.images["web"].args) == ("debug", {"A": "1", "B": "3", "C": "4"})


def test_lists_replace(read: Read) -> None:
    assert read(profile("dev: {web: {restart: ['*.css']}}"), profiles=("p",)).dev["web"].restart == ("*.css",)


def test_null_removes(read: Read) -> None:
    project = read(profile("{hooks: null, images: {web: {target: null}}}"), profiles=("p",))
    assert (project.hooks, project.images["web"].target) == ({}, None)


def test_an_inactive_profile_changes_nothing(read: Read) -> None:
    project = read(profile("hooks: null"))
    assert (project.profiles, list(project.hooks)) == ((), ["ready"])


def test_later_profiles_win(read: Read) -> None:
    text = BASE + "profiles:\n  a: {images: {web: {target: a}}}\n  b: {images: {web: {target: b}}}\n"
    assert read(text, profiles=("b", "a")).images["web"].target == "a"


@pytest.mark.parametrize(
    ("when", "options"),
    [
        ("{context: 'kind-*'}", {"context": "kind-test"}),
        ("{namespace: me}", {"namespace": "me"}),
        ("{variable: {MODE: de*}}", {"set": {"MODE": "debug"}}),
        ("{context: 'kind-*', namespace: me}", {"context": "kind-a", "namespace": "me"}),
    ],
)
def test_a_condition_activates(read: Read, when: str, options: dict[str, object]) -> None:
    text = "variables: {MODE: ''}\n" + profile("hooks: null", when)
    assert (read(text, **options).profiles, read(text).profiles) == (("p",), ())


def test_all_of_a_condition_must_fit(read: Read) -> None:
    text = profile("hooks: null", "{context: 'kind-*', namespace: me}")
    assert read(text, context="kind-a", namespace="other").profiles == ()


def test_chosen_profiles_win_over_automatic_ones(read: Read) -> None:
    text = (
        BASE + "profiles:\n  a: {images: {web: {target: a}}}\n  b: {when: {context: x}, images: {web: {target: b}}}\n"
    )
    project = read(text, profiles=("a",), context="x")
    assert (project.profiles, project.images["web"].target) == (("b", "a"), "a")


def test_a_profile_may_give_what_is_missing(read: Read) -> None:
    text = "variables: {URL: }\n" + profile("variables: {URL: x}", "{context: x}")
    assert read(text, context="x").variables["URL"].value == "x"


def test_problems_of_a_patch_are_told_where_it_stands(failure: Failure) -> None:
    error = failure(profile("dev: {web: {comand: x}}"), profiles=("p",))
    assert str(error) == "loop.yaml:7:17: unknown key 'comand' in dev.web"


def test_places_point_to_where_the_value_stands(read: Read) -> None:
    project = read(profile("dev: {web: {command: other}}"), profiles=("p",))
    assert (project.where("dev.web.command").line, project.where("dev.web.restart").line) == (7, 3)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("profiles: {p: {imags: {}}}\n", "loop.yaml:2:16: unknown key 'imags' in profiles.p"),
        ("profiles: {p: {when: {contxt: x}}}\n", "loop.yaml:2:23: unknown key 'contxt' in profiles.p.when"),
    ],
)
def test_keys_of_inactive_profiles_are_checked(failure: Failure, text: str, told: str) -> None:
    assert str(failure(text)) == told


def test_an_unknown_profile_gets_a_suggestion(failure: Failure, tmp_path: Path) -> None:
    assert failure(BASE + "profiles: {debug: {hooks: null}}\n", profiles=("debgu",)).hint == "did you mean 'debug'?"
