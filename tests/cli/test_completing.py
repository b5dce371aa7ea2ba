"""What a shell is offered: the names that the project and the kubeconfig have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LOOP = Path(sys.executable).with_name("loop")

PROJECT = """\
name: shop
images: {web: web, api: api}
dev: {web: {ports: 80}, api: {ports: 81}}
commands: {test: pytest}
environments: {stage: {namespace: shop-stage}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "loop.yaml").write_text(PROJECT)
    contexts = "contexts: [{name: here, context: {cluster: a, user: a}}]"
    (tmp_path / "kubeconfig").write_text(f"apiVersion: v1\nkind: Config\n{contexts}\n")
    return tmp_path


def offered(folder: Path, line: str) -> set[str]:
    """By click's protocol for bash."""
    words = line.split(" ")
    variables = {
        "_LOOP_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "KUBECONFIG": str(folder / "kubeconfig"),
        "XDG_STATE_HOME": str(folder),
    }
    done = subprocess.run([LOOP], cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True)
    assert done.stderr == ""
    return {entry.partition(",")[2] for entry in done.stdout.split()}


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("loop dev ", {"web", "api"}),
        ("loop dev web ", {"api"}),
        ("loop exec w", {"web"}),
        ("loop run ", {"test"}),
        ("loop use context ", {"here"}),
        ("loop render --env ", {"stage"}),
        ("loop config --explain LOOP_N", {"LOOP_NAMESPACE"}),
    ],
)
def test_names_are_offered(folder: Path, line: str, names: set[str]) -> None:
    assert offered(folder, line) == names


def test_a_broken_file_offers_nothing_and_says_nothing(folder: Path) -> None:
    (folder / "loop.yaml").write_text("nmae: shop\n")
    assert offered(folder, "loop dev ") == set()
