"""``loop config``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from innerloop.cli import main

FILE = """\
name: shop
variables:
  TITLE: default
  DB_PASSWORD: ${TITLE}-hunter2
images: {web: ./web}
dev: {web: {command: "run --title ${TITLE} --password ${DB_PASSWORD}"}}
profiles: {debug: {dev: {web: {command: debug}}}}
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / ".home"))
    for name in ("LOOP_CONTEXT", "LOOP_NAMESPACE", "TITLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "loop.yaml"
    file.write_text(FILE)
    return file


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main.run(["config", *arguments]) == 0
    return capsys.readouterr().out


def test_it_shows_the_project_with_variables_put_in(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    shown = yaml.safe_load(output(capsys))
    assert shown["images"]["web"]["context"] == str(tmp_path / "web")
    assert shown["dev"]["web"]["command"][:3] == ["run", "--title", "default"]


def test_secrets_are_masked_wherever_they_went(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys)
    assert "hunter2" not in text
    assert yaml.safe_load(text)["variables"]["DB_PASSWORD"] == "***"


def test_json_has_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(output(capsys, "-o", "json")) == yaml.safe_load(output(capsys))


def test_options_count(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "--profile", "debug", "-n", "mine", "--context", "kind-a", "--set", "TITLE=a=b")
    shown = yaml.safe_load(text)
    assert shown["dev"]["web"]["command"] == ["debug"]
    assert (shown["namespace"], shown["context"], shown["variables"]["TITLE"]) == ("mine", "kind-a", "a=b")


def test_explain_tells_where_a_value_came_from(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("# here\nTITLE=file\n")
    monkeypatch.setenv("TITLE", "process")
    assert output(capsys, "--explain", "TITLE", "--set", "TITLE=set") == (
        "TITLE=set\n"
        "  from --set\n"
        "  overrides 'process' from the process environment\n"
        "  overrides 'file' from .env:2\n"
        "  overrides 'default' from loop.yaml:3 (default)\n"
    )


def test_explain_of_an_unknown_name_suggests(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["config", "--explain", "TITEL"]) == 1
    assert "did you mean 'TITLE'?" in capsys.readouterr().err


def test_unused_variables_are_told(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    project.write_text("name: shop\nvariables: {OLD: x}\n")
    assert main.run(["config"]) == 0
    assert capsys.readouterr().err == "warning: loop.yaml:2:13: variable OLD is not used anywhere\n"


def test_errors_are_text_and_exit_code_1(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    project.write_text("name: shop\ndev:\n\tweb: {}\n")
    assert main.run(["config"]) == 1
    assert capsys.readouterr().err == ("error: loop.yaml:3:1: a tab cannot indent YAML\nhint: indent with spaces\n")


def test_it_needs_no_event_loop_and_no_client() -> None:
    code = "import sys; from innerloop.cli import main; main.run(['config']); print('MODULES', *sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"asyncio", "aiohttp", "rich", "ssl"} & set(ran.stdout.partition("MODULES")[2].split()) == set()


def test_set_without_a_value_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["config", "--set", "TITLE"]) == 2
    assert "'TITLE' is not NAME=VALUE" in capsys.readouterr().err
