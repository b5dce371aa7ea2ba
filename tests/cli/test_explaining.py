"""``loop config --explain`` for all variables in all environments."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from innerloop.cli import main

FILE = """\
name: shop
variables: {TITLE: default, DB_PASSWORD: hunter2, OLD: x}
manifests:
  - {helm: chart, values: values.yaml}
  - {kustomize: over}
  - {files: deploy/*.yaml}
environments:
  dev: {variables: env/dev.env, namespace: shop-dev}
  prod: {namespace: shop}
commands: {a: 'echo ${DB_PASSWORD}'}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("LOOP_") or name == "TITLE"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / ".home"))
    monkeypatch.chdir(tmp_path)
    files = {
        "loop.yaml": FILE,
        "env/dev.env": "# values\nTITLE=dev\n",
        "values.yaml": "title: ${TITLE}\n",
        "over/kustomization.yaml": "resources: [../base]\n",
        "base/kustomization.yaml": "namePrefix: ${TITLE}-\n",
        "deploy/a.yaml": "a: 1\n",
    }
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return tmp_path


def explain(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main.run(["config", "--explain", *arguments]) == 0
    return capsys.readouterr().out


def test_each_value_is_told_with_its_origin_for_each_environment(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(capsys, "--set", "TITLE=set").startswith(
        "TITLE\n"
        "  laptop  'set' from --set, over 'default' from loop.yaml:2 (default)\n"
        "  dev     'set' from --set, over 'dev' from env/dev.env:2, over 'default' from loop.yaml:2 (default)\n"
        "  prod    'set' from --set, over 'default' from loop.yaml:2 (default)\n"
    )


def test_secrets_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    assert "hunter2" not in explain(capsys) + explain(capsys, "-o", "json")


def test_one_environment_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(capsys, "--env", "dev").startswith("TITLE\n  dev  'dev' from env/dev.env:2, over 'default'")


def test_a_variable_that_nothing_uses_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(capsys).splitlines()[-1] == "declared and not used: OLD"


@pytest.mark.parametrize("name", ["values.yaml", "over/kustomization.yaml", "base/kustomization.yaml", "deploy/a.yaml"])
def test_a_name_that_nobody_declares_is_told_with_its_place(
    capsys: pytest.CaptureFixture[str], folder: Path, name: str
) -> None:
    with (folder / name).open("a") as file:
        file.write("# one\n# ${TITEL}\n")
    line = len((folder / name).read_text().splitlines())
    told = f"{name}:{line}:3: ${{TITEL}} is used and not declared (did you mean 'TITLE'?)"
    assert explain(capsys).splitlines()[-1] == told


def test_what_is_wrong_in_one_environment_does_not_hide_the_others(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "env/dev.env").unlink()
    text = explain(capsys)
    assert "  prod    'default' from loop.yaml:2 (default)\n" in text
    assert "dev cannot be read: loop.yaml:8:9: the environment's file env/dev.env does not exist\n" in text


def test_programs_get_the_same(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "deploy/a.yaml").write_text("a: ${NO}\n")
    told = json.loads(explain(capsys, "-o", "json"))
    assert [one["name"] for one in told["environments"]] == [None, "dev", "prod"]
    assert told["environments"][1]["variables"]["TITLE"] == {
        "value": "dev",
        "from": "file",
        "where": "env/dev.env:2:7",
        "overrides": [{"value": "default", "from": "default", "where": "loop.yaml:2:20"}],
    }
    assert (told["unused"], [one["where"] for one in told["undeclared"]]) == (["OLD"], ["deploy/a.yaml:1:4"])
