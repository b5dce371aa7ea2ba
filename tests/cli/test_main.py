"""The command line's frame: help stays light, errors become text and exit codes."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from innerloop.cli import main
from innerloop.errors import Location, LoopError

REPOSITORY = Path(__file__).parents[2]
HEAVY = {"aiohttp", "asyncio", "rich", "watchfiles", "yaml", "msgspec"}


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_help_imports_no_heavy_module() -> None:
    code = "import sys; from innerloop.cli import main; main.run(['--help']); print('MODULES', *sys.modules)"
    modules = set(run_python(code).partition("MODULES")[2].split())
    assert HEAVY & modules == set()


def test_every_command_of_the_help_is_there() -> None:
    context = click.Context(main.root)
    for name in main.COMMANDS:
        command = main.root.get_command(context, name)
        assert command is not None, name


def test_an_unknown_command_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["pruge"]) == 2
    assert "Did you mean 'purge'?" in capsys.readouterr().err


def test_an_error_tells_where_why_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    main.show_error(LoopError("no such key", where=Location("loop.yaml", 3, 5), detail="because", hint="remove it"))
    text = re.sub(r"\x1b\[\d+m", "", capsys.readouterr().err)
    assert text == "error: loop.yaml:3:5: no such key\n  because\nhint: remove it\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LoopError("mend me"), 1),
        (OSError(errno.ENOSPC, "no room"), 1),
        (PermissionError(errno.EACCES, "not yours", "/somewhere"), 1),
        (PermissionError(errno.EPERM, "a system call of ours"), 3),
        (KeyboardInterrupt(), 130),
        (click.UsageError("how"), 2),
        (ZeroDivisionError(), 3),
    ],
)
def test_errors_become_exit_codes(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(main.root, "main", fail)
    assert main.run([]) == code


def test_a_working_directory_that_is_gone_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    there = f"cd {gone} && rmdir {gone} && exec {Path(sys.executable).with_name('loop')} render"
    ended = subprocess.run(["sh", "-c", there], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr.splitlines()[0]) == (1, "error: the working directory is gone")


def test_a_bug_leaves_a_crash_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("our bug")

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(main.root, "main", fail)
    main.run(["dev"])
    (file,) = (tmp_path / "innerloop" / "crashes").iterdir()
    assert "our bug" in file.read_text()


def test_pre_commit_has_the_versions_of_pyproject() -> None:
    pyproject = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    pins = dict(line.split("==") for line in pyproject["dependency-groups"]["dev"] if "==" in line)
    hooks = (REPOSITORY / ".pre-commit-config.yaml").read_text()
    assert f"rev: v{pins['ruff']}" in hooks
    assert f"rev: v{pins['mypy']}" in hooks
    assert f"import-linter=={pins['import-linter']}" in hooks
