"""A change reaches what depends on it, and nothing else."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from innerloop.engine.reach import NOTHING, Reach, built_files, is_bookkeeping, reach
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
    assert reach(PROJECT, [ROOT / "deploy"], [str(ROOT / path)]) == expected


@pytest.mark.parametrize("name", [".git", ".loop"])
def test_what_git_and_we_write_is_not_watched(name: str) -> None:
    assert is_bookkeeping(str(ROOT / name), True)


def rebuilding(folder: Path, *rebuild: str, sync: str = "web") -> Project:
    target = DevTarget(
        name="web", image="web", sync=(SyncPath(local=folder / sync, remote="/app"),), rebuild=tuple(rebuild)
    )
    image = Image(name="web", repository="web", context=folder / "web", dockerfile=folder / "web/Dockerfile")
    return msgspec.structs.replace(PROJECT, folder=folder, images={"web": image}, dev={"web": target})


@pytest.mark.parametrize(
    ("path", "rebuilt"),
    [("requirements.txt", True), ("lib/a.lock", True), ("lib/a.py", False), ("lib/requirements.txt", False)],
)
def test_a_file_that_rebuild_names_reaches_the_image(path: str, rebuilt: bool) -> None:
    project = rebuilding(ROOT, "requirements.txt", "**/*.lock")
    assert bool(reach(project, [], [str(ROOT / "web" / path)]).images) == rebuilt


@pytest.mark.parametrize("path", ["web/lib", "web"])
def test_a_folder_that_came_reaches_what_is_in_it(tmp_path: Path, path: str) -> None:
    (tmp_path / "web/lib").mkdir(parents=True)
    (tmp_path / "web/lib/a.lock").touch()
    assert reach(rebuilding(tmp_path, "**/*.lock"), [], [str(tmp_path / path)]).images == {"web"}
    assert not reach(rebuilding(tmp_path, "*.lock"), [], [str(tmp_path / path)])


def test_what_is_not_in_the_context_is_synced_whatever_its_name() -> None:
    project = rebuilding(ROOT, "*.lock", sync="shared")
    assert not reach(project, [], [str(ROOT / "shared/a.lock")])
    assert not built_files(project.images["web"], project.dev["web"])(str(ROOT / "shared/a.lock"))


def test_reaching_nothing_is_false() -> None:
    assert not NOTHING
