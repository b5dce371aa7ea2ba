"""What a dev target lets follow a sync: actions and rebuilds, in every form, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from innerloop.errors import LoopError
from innerloop.project import Project, SyncAction

Read = Callable[..., Project]
Failure = Callable[..., LoopError]

WEB = "images: {web: web}\ndev:\n  web:\n    sync: web:/app\n"


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (
            "{files: requirements.txt, exec: pip install -r 'requirements.txt'}",
            SyncAction(files=("requirements.txt",), exec=("pip", "install", "-r", "requirements.txt")),
        ),
        (
            "{files: ['**/*.proto', '!old/'], exec: [sh, -c, 'make gen']}",
            SyncAction(files=("**/*.proto", "!old/"), exec=("sh", "-c", "make gen")),
        ),
        ("{files: '**', run: 'make | tee log'}", SyncAction(files=("**",), run="make | tee log")),
        ("{files: '*.conf', signal: SIGHUP}", SyncAction(files=("*.conf",), signal="HUP")),
        ("{files: '*.conf', signal: usr1}", SyncAction(files=("*.conf",), signal="USR1")),
    ],
)
def test_forms_of_an_action(read: Read, action: str, expected: SyncAction) -> None:
    assert read(f"{WEB}    actions:\n    - {action}\n").dev["web"].actions == (expected,)


def test_actions_keep_their_order(read: Read) -> None:
    project = read(f"{WEB}    actions: [{{files: b, run: first}}, {{files: a, run: second}}]\n")
    assert [action.run for action in project.dev["web"].actions] == ["first", "second"]


@pytest.mark.parametrize("rebuild", ["requirements.txt", "[requirements.txt]"])
def test_forms_of_a_rebuild(read: Read, rebuild: str) -> None:
    assert read(f"{WEB}    rebuild: {rebuild}\n").dev["web"].rebuild == ("requirements.txt",)


def test_a_rebuild_may_name_files_of_a_folder_below_the_context(read: Read) -> None:
    text = "images: {web: .}\ndev: {web: {sync: [src:/app, ../shared:/shared], rebuild: '*.lock'}}\n"
    assert read(text).dev["web"].rebuild == ("*.lock",)


@pytest.mark.parametrize(
    ("keys", "told", "hint"),
    [
        ("actions: [{files: a}]", "6:15: dev.web.actions.0 has none of exec, run, signal", "give exactly one"),
        ("actions: [{files: a, exec: ''}]", "6:15: dev.web.actions.0 has none of exec, run, signal",
         "give exactly one"),
        ("actions: [{files: a, exec: b, run: c}]", "6:15: dev.web.actions.0 has more than one of exec, run, signal",
         "give exactly one"),
        ("actions: [{files: a, exec: b}, {run: c}]", "6:36: dev.web.actions.1 lacks 'files'", None),
        ("actions: [{files: [], run: c}]", "6:16: dev.web.actions.0 names no files", "'**' stands for all"),
        ("actions: [{files: '', run: c}]", "6:16: dev.web.actions.0 names no files", "'**' stands for all"),
        ("actions: [{files: a, exec: \"b 'c\"}]", "6:26: dev.web.actions.0.exec: no closing quotation",
         "quote it as for a shell"),
        ("actions: [{files: a, signal: HAP}]", "6:26: dev.web.actions.0: there is no signal 'HAP'",
         "did you mean 'HUP'?"),
        ("actions: [{files: a, ran: c}]", "6:26: unknown key 'ran' in dev.web.actions.0", "did you mean 'run'?"),
        ("actions: {files: a, run: c}", "6:14: dev.web.actions must be a list, not a mapping", None),
        ("rebuild: {files: a}", "6:14: dev.web.rebuild must be text or a list, not a mapping", None),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(failure: Failure, keys: str, told: str, hint: str | None) -> None:
    error = failure(f"{WEB}    {keys}\n")
    assert (str(error), error.hint) == (f"loop.yaml:{told}", hint)


@pytest.mark.parametrize("keys", ["actions: [{files: a, run: b}]", "rebuild: a"])
def test_without_sync_nothing_can_follow(failure: Failure, keys: str) -> None:
    error = failure(f"images: {{web: web}}\ndev:\n  web:\n    {keys}\n")
    assert str(error) == f"loop.yaml:5:5: dev.web.{keys.partition(':')[0]} means nothing without 'sync'"


def test_pods_of_a_selector_have_no_image_to_rebuild(failure: Failure) -> None:
    error = failure("dev:\n  web: {selector: {app: web}, sync: web:/app, rebuild: a}\n")
    assert str(error) == "loop.yaml:3:47: dev.web.rebuild means nothing beside 'selector'"
    assert error.hint == "name the image to build with 'image'"


def test_files_that_no_build_sees_cannot_rebuild(failure: Failure, tmp_path: object) -> None:
    error = failure("images: {web: web}\ndev:\n  web: {sync: src:/app, rebuild: a}\n")
    assert str(error) == (
        f"loop.yaml:4:25: dev.web.rebuild: no synced folder is in the context of the image web, {tmp_path}/web"
    )
