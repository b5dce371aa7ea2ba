"""The sample's way to the environments: its GitOps repository, its gates, its promotion in each layout. No cluster."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from innerloop.config import loading
from innerloop.config.loading import Options

EXAMPLES = Path(__file__).parents[2] / "examples"
LOOP = Path(sys.executable).with_name("loop")
LOCK = f"""\
version: 1
images:
  registry.example.com/vote/web: {{digest: "sha256:{"1" * 64}", tag: made-up, inputs: made-up}}
thirdPartyImages:
  docker.io/library/redis:7: sha256:{"2" * 64}
"""


def load_make_gitops() -> Any:
    spec = importlib.util.spec_from_file_location("make_gitops", EXAMPLES / "make_gitops.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_gitops = load_make_gitops()


@pytest.fixture
def vote(tmp_path: Path, tools: None) -> Path:
    """A committed copy of the sample with a lock, beside its GitOps repository."""
    folder = tmp_path / "vote"
    shutil.copytree(EXAMPLES / "vote", folder, ignore=shutil.ignore_patterns(".loop", ".env", "__pycache__"))
    (folder / "loop.lock").write_text(LOCK)
    make_gitops.git(folder, "init", "--quiet")
    commit(folder)
    make_gitops.make(tmp_path / "vote-gitops.git")
    return folder


def commit(folder: Path) -> None:
    make_gitops.git(folder, "add", "--all")
    make_gitops.commit(folder, "all")


def promote(folder: Path, environment: str) -> str:
    done = subprocess.run([LOOP, "promote", environment], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(folder: Path, branch: str) -> list[str]:
    return str(make_gitops.git(folder.parent / "vote-gitops.git", "ls-tree", "-r", "--name-only", branch)).splitlines()


def test_the_repository_begins_with_the_namespaces_of_the_environments(vote: Path) -> None:
    gitops = vote.parent / "vote-gitops.git"
    text = make_gitops.git(gitops, "show", f"main:{make_gitops.CLUSTER}/manifests/namespaces.yaml")
    project = loading.load(vote / "loop.yaml", Options(namespace="mine"))
    environments = project.environments.values()
    assert [one["metadata"]["name"] for one in yaml.safe_load_all(text)] == [one.namespace for one in environments]
    assert {one.cluster for one in environments} == {make_gitops.CLUSTER}


@pytest.mark.parametrize("environment", ["dev", "stage", "prod"])
def test_all_gates_let_each_environment_pass(vote: Path, environment: str) -> None:
    assert f"branch loop/{environment}/vote is pushed" in promote(vote, environment)


LAYOUTS = {
    "cluster": ("loop/dev/vote", "practice/manifests/vote-dev/vote/deployment-vote-front.yaml"),
    "folder": ("loop/dev/vote", "dev/vote/deployment-vote-front.yaml"),
    "branch": ("environments/dev-next/vote", "vote/deployment-vote-front.yaml"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_repository_takes_each_layout(vote: Path, layout: str) -> None:
    branch, path = LAYOUTS[layout]
    text = (vote / "loop.yaml").read_text()
    # a blank line, so that there is something to commit for each
    (vote / "loop.yaml").write_text(text.replace("layout: cluster", f"layout: {layout}") + "\n")
    commit(vote)
    promote(vote, "dev")
    found = files(vote, branch)
    assert path in found and "practice/manifests/namespaces.yaml" in found


def test_the_same_again_is_no_promotion(vote: Path) -> None:
    promote(vote, "dev")
    gitops = vote.parent / "vote-gitops.git"
    make_gitops.git(gitops, "update-ref", "refs/heads/main", "refs/heads/loop/dev/vote")
    assert "is up to date" in promote(vote, "dev")


def run_job(folder: Path, pipelines: dict[str, Any], job: str) -> None:
    """What a runner does with a job, after loop was installed."""
    path = f"{LOOP.parent}{os.pathsep}{os.environ['PATH']}"
    script = "\n".join(pipelines[job]["script"])
    done = subprocess.run(
        ["sh", "-ec", script], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def merge(folder: Path, environment: str) -> None:
    """By squashing: another commit of the same files."""
    gitops = folder.parent / "vote-gitops.git"
    tree = f"refs/heads/loop/{environment}/vote^{{tree}}"
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    merged = make_gitops.git(gitops, *who, "commit-tree", tree, "-p", "refs/heads/main", "-m", "Looks good").strip()
    make_gitops.git(gitops, "update-ref", "refs/heads/main", merged)


def test_the_written_pipelines_do_what_they_say(vote: Path) -> None:
    subprocess.run([LOOP, "init", "--ci", "gitlab"], cwd=vote, check=True, capture_output=True)
    commit(vote)
    pipelines = yaml.safe_load((vote / ".gitlab-ci.yml").read_text())
    gitops = vote.parent / "vote-gitops.git"
    before = make_gitops.git(gitops, "for-each-ref")
    run_job(vote, pipelines, "check")
    assert make_gitops.git(gitops, "for-each-ref") == before
    assert "vote-front" in (vote / "loop-diff.md").read_text()
    run_job(vote, pipelines, "promote:dev")
    merge(vote, "dev")
    run_job(vote, pipelines, "promote:stage")
    assert "practice/manifests/vote-stage/vote/deployment-vote-front.yaml" in files(vote, "loop/stage/vote")
