"""What the pipelines of a project do, the same for every CI system.

Three, as the workflow has them: the one of a pull request proves and shows what would change, without pushing anything;
the one of the main branch builds, pushes and locks; the last one takes what was built from environment to environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from innerloop.errors import LoopError
from innerloop.paths import LOCK_FILE
from innerloop.project import Project

TEST_COMMAND = "test"
"""The command of the project that its pipelines run, if it has one of that name."""
PREVIEW_FILE = "loop-diff.md"


class Step(NamedTuple):
    """One call of ``loop``."""

    title: str
    arguments: tuple[str, ...]
    is_preview: bool = False
    """Its output is Markdown for those who review."""


class Job(NamedTuple):
    name: str
    title: str
    steps: tuple[Step, ...]
    environment: str = ""
    """Of the project and, by the same name, of the CI system, which may ask for an approval before the job."""
    after: str = ""
    """Name of the job that must have succeeded."""
    locks: bool = False
    """It makes the lock, which is handed on to the last pipeline, and needs the registry's credentials."""
    is_locked: bool = False
    """It is given that lock."""


class Pipelines(NamedTuple):
    project: str
    branch: str
    """That pull requests go to, and that is built from."""
    lock: str
    """Path of the lock in the repository."""
    pull_request: Job
    build: Job
    promotions: tuple[Job, ...]
    """In the order of the environments."""


def describe(project: Project, top: Path, branch: str) -> Pipelines:
    """The pipelines of a project in the repository whose top is ``top``. Raises LoopError without environments."""
    names = tuple(project.environments)
    if not names or project.gitops is None:
        lacking = "environments" if not names else "gitops"
        raise LoopError(
            f"{project.name} has no {lacking}: there is nothing that pipelines could promote",
            where=project.where(""),
            hint="see `environments` and `gitops` in docs/configuration.md",
        )
    folder = project.folder.relative_to(top).as_posix() if project.folder.is_relative_to(top) else "."
    place = () if folder == "." else ("-f", folder)
    tests = (Step("test", ("run", *place, TEST_COMMAND)),) if TEST_COMMAND in project.commands else ()
    return Pipelines(
        project=project.name,
        branch=branch,
        lock=LOCK_FILE if folder == "." else f"{folder}/{LOCK_FILE}",
        pull_request=Job("check", "check what would be promoted", (*tests, *_checks(names, place))),
        build=Job(
            "build",
            "build, push and lock",
            (*tests, Step("build, push and lock", ("build", "--push", "--lock", *place))),
            locks=True,
        ),
        promotions=tuple(_promotion(names, number, place) for number in range(len(names))),
    )


def _checks(names: tuple[str, ...], place: tuple[str, ...]) -> tuple[Step, ...]:
    """Everything that would stop a promotion, before anybody reviews."""
    return (
        *(Step(f"render {name}", ("render", "--env", name, "--output", f"rendered/{name}", *place)) for name in names),
        Step("show what would change", ("diff", "--all-envs", "-o", "markdown", *place), is_preview=True),
        *(Step(f"gates of {name}", ("promote", "--dry-run", *place, name)) for name in names),
    )


def _promotion(names: tuple[str, ...], number: int, place: tuple[str, ...]) -> Job:
    """The first environment gets what was built, each other one what runs in the one before."""
    name = names[number]
    if not number:
        step = Step(f"promote {name}", ("promote", *place, name))
        return Job(name, f"promote to {name}", (step,), environment=name, is_locked=True)
    before = names[number - 1]
    step = Step(f"promote {before} to {name}", ("promote", "--from", before, *place, name))
    return Job(name, f"promote to {name}", (step,), environment=name, after=before)
