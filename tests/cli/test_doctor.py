"""``loop doctor`` without a cluster: what is wrong, and what mends it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from innerloop.cli.main import run

NOWHERE = """\
apiVersion: v1
kind: Config
current-context: nowhere
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: nobody, user: {}}]
"""


@pytest.fixture(autouse=True)
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and a kubeconfig whose cluster does not answer."""
    (tmp_path / "kubeconfig").write_text(NOWHERE)
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.delenv("LOOP_CONTEXT", raising=False)
    return folder


def doctor(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """Exit code, and the checks by name."""
    code = run(["doctor", "-o", "json"])
    return code, {one["name"]: one for one in json.loads(capsys.readouterr().out)}


def test_a_cluster_that_does_not_answer_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    code, checks = doctor(capsys)
    assert code == 1
    assert not checks["cluster"]["good"]
    assert "127.0.0.1" in checks["cluster"]["told"]


def test_a_project_is_not_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "project" not in doctor(capsys)[1]


def test_a_broken_project_is_told_with_its_place(laptop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (laptop / "loop.yaml").write_text("name: vote\nimage: {}\n")
    found = doctor(capsys)[1]["project"]
    assert not found["good"]
    assert "loop.yaml:2:1" in found["told"]


def test_a_sound_project_is_told(laptop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (laptop / "loop.yaml").write_text("name: vote\nmanifests: [{files: deploy/*.yaml}]\n")
    assert doctor(capsys)[1]["project"]["good"]


@pytest.mark.parametrize("name", ["git", "helm", "kustomize", "builder"])
def test_a_program_that_is_missing_is_told_with_what_mends_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = doctor(capsys)[1][name]
    assert not found["good"]
    assert "install" in found["hint"]


def test_all_is_for_resume_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--all"]) == 2


def test_the_cron_job_runs_this_command_with_an_account_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--cronjob"]) == 0
    *_, job = found = list(yaml.safe_load_all(capsys.readouterr().out))
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    account = next(one["metadata"] for one in found if one["kind"] == "ServiceAccount")
    assert (pod["serviceAccountName"], job["metadata"]["namespace"]) == (account["name"], account["namespace"])
    assert "loop doctor --resume" in pod["containers"][0]["command"][-1]
