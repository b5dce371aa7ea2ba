"""``loop use`` and the order in which contexts and namespaces count."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from innerloop.cli import main
from innerloop.cli.options import ProjectOptions, load_project
from innerloop.cli.picking import Cursor, moved
from innerloop.config import choices
from innerloop.config.choices import Choices

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: kind-a
contexts:
- {name: kind-a, context: {cluster: a, user: a, namespace: team}}
- {name: kind-b, context: {cluster: b, user: b}}
- {name: prod, context: {cluster: c, user: c}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, and a kubeconfig with three contexts."""
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    (tmp_path / "loop.yaml").write_text("name: shop\nenvironments: {dev: {namespace: shop-dev}}\n")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / ".home"))
    for name in ("LOOP_CONTEXT", "LOOP_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def chosen(**options: str) -> tuple[str, str]:
    project = load_project(ProjectOptions(**options))  # type: ignore[arg-type]  # forwarded as given
    return project.context, project.namespace


def test_the_kubeconfig_counts_first() -> None:
    assert chosen() == ("kind-a", "team")


def test_a_context_without_a_namespace_means_default() -> None:
    assert chosen(context="prod") == ("prod", "default")


def test_a_choice_outranks_the_kubeconfig_and_is_not_written_to_it(folder: Path) -> None:
    assert main.run(["use", "context", "kind-b"]) == 0
    assert main.run(["use", "namespace", "mine"]) == 0
    assert chosen() == ("kind-b", "mine")
    assert (folder / "kubeconfig").read_text() == KUBECONFIG


def test_an_environments_namespace_outranks_the_choice(folder: Path) -> None:
    choices.write(folder, Choices(namespace="mine"))
    assert chosen(env="dev") == ("kind-a", "shop-dev")


def test_the_process_outranks_choice_and_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choices.write(folder, Choices(context="kind-b", namespace="mine"))
    monkeypatch.setenv("LOOP_CONTEXT", "prod")
    monkeypatch.setenv("LOOP_NAMESPACE", "ci")
    assert chosen(env="dev") == ("prod", "ci")


def test_options_outrank_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOP_CONTEXT", "prod")
    monkeypatch.setenv("LOOP_NAMESPACE", "ci")
    assert chosen(context="kind-b", namespace="me", env="dev") == ("kind-b", "me")


def test_a_choice_can_be_forgotten(folder: Path) -> None:
    choices.write(folder, Choices(context="kind-b", namespace="mine"))
    assert main.run(["use", "context", "--reset"]) == 0
    assert choices.read(folder) == Choices(namespace="mine")


def test_an_unknown_context_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["use", "context", "kindb"]) == 1
    assert "did you mean 'kind-b'?" in capsys.readouterr().err


def test_without_any_context_the_way_to_one_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "none")
    assert main.run(["use", "context", "a"]) == 1
    assert "loop cluster up" in capsys.readouterr().err


def test_an_impossible_namespace_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["use", "namespace", "My_Space"]) == 1
    assert "cannot be the name of a namespace" in capsys.readouterr().err


def test_contexts_are_listed_where_nobody_can_pick(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    choices.write(folder, Choices(context="kind-b"))
    assert main.run(["use", "context"]) == 0
    assert capsys.readouterr().out == "  kind-a\n* kind-b\n  prod\n"


def test_the_list_comes_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["use", "context", "-o", "json"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out) if entry["current"]] == ["kind-a"]


def test_a_stronger_variable_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOP_CONTEXT", "prod")
    assert main.run(["use", "context", "kind-b"]) == 0
    assert "LOOP_CONTEXT=prod in the environment wins" in capsys.readouterr().err


@pytest.mark.cluster
def test_namespaces_of_the_cluster_are_listed(
    kubeconfig: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    assert main.run(["use", "namespace"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {"* default", "  kube-system"} <= set(lines)


@pytest.mark.parametrize(
    ("keys", "context"),
    [(b"\x1b[B\r", "kind-b"), (b"\x1b[A\r", "prod"), (b"3\r", "prod"), (b"q", ""), (b"\x03", "")],
    ids=["down", "up, around", "number", "quit", "^C"],
)
def test_the_picker_on_a_terminal(folder: Path, keys: bytes, context: str) -> None:
    code, screen = on_terminal(["use", "context"], keys)
    assert code == (0 if context else 130)
    assert choices.read(folder).context == context
    assert b"1 kind-a (current)" in screen


def test_digits_that_follow_each_other_are_one_number() -> None:
    cursor = moved(moved(Cursor(0), b"1", 12), b"2", 12)
    assert cursor == Cursor(11, "12")
    assert moved(cursor, b"9", 12) == Cursor(8, "9")


def on_terminal(arguments: list[str], keys: bytes) -> tuple[int, bytes]:
    """Run ``loop`` on a terminal and press keys once it shows its list."""
    ours, theirs = pty.openpty()
    command = [str(Path(sys.executable).with_name("loop")), *arguments]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                               preexec_fn=_take_terminal)  # fmt: skip
    os.close(theirs)
    screen = b""
    deadline = time.monotonic() + 20
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 0.1)[0]:
                continue
            try:
                screen += os.read(ours, 4096)
            except OSError:
                break
            if keys and b"prod" in screen:
                os.write(ours, keys)
                keys = b""
        return process.wait(timeout=5), screen
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
