"""``loop status --env``: how far a commit is on its way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gitops.outer import World

LOOP = Path(sys.executable).with_name("loop")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def status(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    home = str(world.folder.parent / ".home")
    env = {name: value for name, value in os.environ.items() if not name.startswith("LOOP_")}
    env |= {"KUBECONFIG": "none", "XDG_STATE_HOME": home, "XDG_CACHE_HOME": home, "GIT_CONFIG_GLOBAL": os.devnull}
    argv = [str(LOOP), "status", *arguments]
    return subprocess.run(argv, cwd=world.folder, env=env, capture_output=True, text=True)


def test_the_head_of_the_clone_is_asked_about_unless_another_commit_is_named(world: World) -> None:
    older, newer = world.commit(), world.commit()
    world.promote(older)
    done = status(world, "--env", "stage")
    assert (done.returncode, done.stdout) == (
        1,
        f"shop  {newer[:7]} in stage\n"
        f"  not promoted: stage has {older[:7]}\n"
        "  not known: the cluster: no kubeconfig names a cluster\n",
    )
    assert status(world, "--env", "stage", "--commit", older[:9]).stdout.startswith(f"shop  {older[:7]} in stage\n")


def test_programs_get_all_of_it(world: World) -> None:
    commit = world.commit()
    merged = world.promote(commit)
    found = json.loads(status(world, "--env", "stage", "-o", "json").stdout)
    assert (found["state"], found["commit"], found["gitops_commit"]) == ("merged", commit, merged)


def test_what_was_overtaken_is_done(world: World) -> None:
    older, newer = world.commit(), world.commit()
    world.promote(newer)
    assert status(world, "--env", "stage", "--commit", older).returncode == 0


def test_a_commit_that_is_not_there_is_told(world: World) -> None:
    world.commit()
    done = status(world, "--env", "stage", "--commit", "nothing")
    assert (done.returncode, "the project's clone has no commit 'nothing'" in done.stderr) == (1, True)


@pytest.mark.parametrize("option", [("--commit", "HEAD"), ("--report",)])
def test_options_of_an_environment_want_one(world: World, option: tuple[str, ...]) -> None:
    done = status(world, *option)
    assert (done.returncode, "add --env NAME" in done.stderr) == (2, True)


def test_a_repository_without_a_forge_takes_no_report_and_that_is_no_error(world: World) -> None:
    world.promote(world.commit())
    done = status(world, "--env", "stage", "--report")
    assert "  merged: " in done.stdout


def test_an_environment_without_a_gitops_repository_is_looked_at_in_the_cluster(world: World) -> None:
    file = world.folder / "loop.yaml"
    file.write_text(file.read_text().partition("gitops:")[0])
    done = status(world, "--env", "stage")
    assert (done.returncode, "no kubeconfig names a cluster" in done.stderr) == (1, True)
