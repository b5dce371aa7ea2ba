"""``loop run``: the project's commands, as make and npm run theirs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

LOOP = Path(sys.executable).with_name("loop")

FILE = """\
name: shop
variables: {WHO: world}
commands:
  hello: echo "hello ${WHO}" && pwd
  show: {run: "printf '[%s]'", description: print the arguments}
  first: printf '%s' "$1"
  where: printf '%s/%s/%s' "$LOOP_CONTEXT" "$LOOP_NAMESPACE" "$LOOP_ENVIRONMENT"
  fail: exit 7
  die: kill -TERM $$
plugins: plugin.py
"""
PLUGIN = """\
from innerloop import command

@command("seed")
def seed(project, arguments):
    \"\"\"Fill the database.\"\"\"
    import os
    print(project.name, arguments, os.environ["LOOP_NAMESPACE"])
    return 3

@command("broken")
def broken(project, arguments):
    raise ValueError("no")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Path:
    (tmp_path / "loop.yaml").write_text(FILE)
    (tmp_path / "plugin.py").write_text(PLUGIN)
    (tmp_path / "inner").mkdir()
    return tmp_path


def loop(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("LOOP_")}
    env |= {"KUBECONFIG": "none", "XDG_STATE_HOME": str(folder / ".home"), "XDG_CACHE_HOME": str(folder / ".home")}
    command = [str(LOOP), "run", *arguments]
    return subprocess.run(command, cwd=folder / "inner", env=env, capture_output=True, text=True, check=False)


def test_a_command_runs_in_the_projects_folder(folder: Path) -> None:
    assert loop(folder, "hello").stdout == f"hello world\n{folder}\n"


def test_arguments_arrive_as_given(folder: Path) -> None:
    assert loop(folder, "show", "a b", "--flag", "$HOME", "-n").stdout == "[a b][--flag][$HOME][-n]"


def test_a_command_may_place_its_arguments_itself(folder: Path) -> None:
    assert loop(folder, "first", "a", "b").stdout == "a"


def test_the_session_is_told_by_variables(folder: Path) -> None:
    assert loop(folder, "--context", "kind-a", "-n", "mine", "where").stdout == "kind-a/mine/"


@pytest.mark.parametrize(("name", "code"), [("fail", 7), ("die", -signal.SIGTERM), ("seed", 3)])
def test_the_exit_status_is_passed_on(folder: Path, name: str, code: int) -> None:
    assert loop(folder, name).returncode == code


def test_a_plugins_command_gets_project_arguments_and_variables(folder: Path) -> None:
    assert loop(folder, "-n", "mine", "seed", "a", "-x").stdout == "shop ['a', '-x'] mine\n"


def test_an_error_in_a_plugins_command_is_the_plugins(folder: Path) -> None:
    completed = loop(folder, "broken")
    assert completed.returncode == 1
    assert "plugin.py:12: the plugin failed: ValueError: no" in completed.stderr


def test_without_a_name_the_commands_are_listed(folder: Path) -> None:
    lines = loop(folder).stdout.splitlines()
    assert lines[1] == "show    print the arguments"
    assert lines[-2] == "seed    Fill the database."


def test_the_list_comes_as_json(folder: Path) -> None:
    names = [entry["name"] for entry in json.loads(loop(folder, "-o", "json").stdout)]
    assert names == ["hello", "show", "first", "where", "fail", "die", "seed", "broken"]


def test_an_unknown_command_gets_a_suggestion(folder: Path) -> None:
    completed = loop(folder, "helo")
    assert (completed.returncode, "did you mean 'hello'?" in completed.stderr) == (1, True)
