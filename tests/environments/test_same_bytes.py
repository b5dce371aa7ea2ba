"""What the laptop renders is what CI renders, byte for byte: by the real command, with the sample."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from innerloop.config.loading import Options, load
from innerloop.gitops.environments.rendering import render_environment
from tests.environments.conftest import LOOP

pytestmark = pytest.mark.usefixtures("tools")

VOTE = Path(__file__).parents[2] / "examples/vote"


class Machine(NamedTuple):
    """A clone of the sample with a home of its own."""

    clone: Path
    env: dict[str, str]

    def render(self, *arguments: str, cwd: Path | None = None, umask: int = 0o022) -> bytes:
        done = subprocess.run(
            [str(LOOP), "render", *arguments],
            cwd=cwd or self.clone,
            env=self.env,
            umask=umask,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout


def machine(folder: Path, **env: str) -> Machine:
    clone = folder / "vote"
    shutil.copytree(VOTE, clone, ignore=shutil.ignore_patterns(".loop", ".env", "loop.lock"))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LOOP_", "XDG_", "LC_"))}
    return Machine(clone, {**clean, "HOME": str(folder / "home"), "KUBECONFIG": "none", **env})


@pytest.fixture
def laptop(tmp_path: Path) -> Machine:
    return machine(tmp_path / "laptop")


def test_the_laptop_with_an_environments_values_renders_what_the_environment_gets(laptop: Machine) -> None:
    shutil.copy(laptop.clone / "env/dev.env", laptop.clone / ".env")
    assert laptop.render("--namespace", "vote-dev") == laptop.render("--env", "dev")


def test_another_machine_renders_the_same(laptop: Machine, tmp_path: Path) -> None:
    ci = machine(
        tmp_path / "elsewhere/ci",
        TZ="Asia/Kathmandu",
        LANG="de_DE.UTF-8",
        LC_ALL="C",
        LOOP_NAMESPACE="other",
        LOOP_CONTEXT="other",
        LOOP_ENVIRONMENT="other",
        HELM_NAMESPACE="other",
        PYTHONHASHSEED="1",
    )
    (ci.clone / ".env").write_text("VOTE_APP_TITLE=stray\nDEMO_APP_URL=/stray\n")
    (ci.clone / ".loop").mkdir()
    (ci.clone / ".loop/choices.json").write_text('{"context": "stray", "namespace": "stray"}')
    there = ci.render("--env", "dev", "--file", str(ci.clone), cwd=tmp_path, umask=0o077)
    assert there == laptop.render("--env", "dev")
    assert b"namespace: vote-dev" in there


async def test_the_hash_of_what_was_rendered_is_the_same_on_every_machine(tmp_path: Path) -> None:
    hashes = []
    for name in ("laptop", "elsewhere/ci"):
        clone = machine(tmp_path / name).clone
        project = load(clone / "loop.yaml", Options(env="prod", fallback_namespace=""))
        hashes.append((await render_environment(project, emit=lambda event: None)).provenance.inputs)
    assert hashes[0] == hashes[1]
