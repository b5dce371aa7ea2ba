"""A change reaches what depends on it, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from innerloop.engine.reach import NOTHING, Reach, is_bookkeeping, reach
from innerloop.project import DevTarget, Image, Project, SyncPath

ROOT = Path("/src/vote")
PROJECT = Project(
    name="vote",
    file=ROOT / "loop.yaml",
    folder=ROOT,
    files=(ROOT / "loop.yaml",),
    images={
        "web": Image(name="web", repository="web", context=ROOT / "web", dockerfile=ROOT / "web/Dockerfile"),
        "jobs": Image(name="jobs", repository="jobs", context=ROOT / "jobs", dockerfile=ROOT / "jobs/Dockerfile"),
    },
    dev={"web": DevTarget(name="web", image="web", sync=(SyncPath(local=ROOT / "web", remote="/app"),))},
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("web/main.py", NOTHING),
        ("README.md", NOTHING),
        ("web/Dockerfile", NOTHING._replace(images=frozenset(["web"]))),
        ("web/.dockerignore", NOTHING._replace(images=frozenset(["web"]))),
        ("web/Dockerfile.dockerignore", NOTHING._replace(images=frozenset(["web"]))),
        ("jobs/run.py", NOTHING._replace(images=frozenset(["jobs"]))),
        ("deploy/chart/templates/web.yaml", NOTHING._replace(templates=True)),
        ("loop.yaml", NOTHING._replace(configuration=True)),
        (".env", NOTHING._replace(configuration=True)),
    ],
)
def test_what_a_file_reaches(path: str, expected: Reach) -> None:
    assert reach(PROJECT, [ROOT / "deploy"], [ROOT / path]) == expected


@pytest.mark.parametrize("name", [".git", ".loop"])
def test_what_git_and_we_write_is_not_watched(name: str) -> None:
    assert is_bookkeeping(ROOT / name, True)


def test_reaching_nothing_is_false() -> None:
    assert not NOTHING
