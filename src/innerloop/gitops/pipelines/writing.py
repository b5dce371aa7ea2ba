"""The files of a CI system, into the project's repository."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from innerloop import processes
from innerloop.config.files import shown
from innerloop.errors import LoopError
from innerloop.gitops.pipelines import azure, github, gitlab
from innerloop.gitops.pipelines.description import Pipelines, describe
from innerloop.project import Project

System = Literal["github", "azure", "gitlab"]
SYSTEMS = {"github": github.files, "azure": azure.files, "gitlab": gitlab.files}


async def write_pipelines(project: Project, system: System, *, force: bool = False) -> list[Path]:
    """Write the pipelines of a project; returns the files.

    Raises LoopError when one is there already (unless ``force``), and when the project has nothing to promote.
    """
    top, branch = await _repository(project.folder)
    texts = texts_of(describe(project, top, branch), system)
    files = {top / name: text for name, text in texts.items()}
    if (present := [shown(file) for file in files if file.exists()]) and not force:
        raise LoopError(
            f"{', '.join(present)} {'is' if len(present) == 1 else 'are'} there already",
            hint="nothing was written; --force replaces what is there",
        )
    for file, text in files.items():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        except OSError as error:
            raise LoopError(f"cannot write {shown(file)}: {error.strerror}") from error
    return list(files)


def texts_of(pipelines: Pipelines, system: System) -> Mapping[str, str]:
    """Path from the repository's top to the text of each file."""
    return SYSTEMS[system](pipelines)


async def _repository(folder: Path) -> tuple[Path, str]:
    """The repository's top and its main branch; the project's folder and ``main`` where there is none."""
    top = await _git(folder, "rev-parse", "--show-toplevel")
    head = await _git(folder, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
    return Path(top) if top else folder, head.partition("/")[2] or "main"


async def _git(folder: Path, *arguments: str) -> str:
    try:
        completed = await processes.run(["git", "-C", str(folder), *arguments], check=False)
    except LoopError:
        # without git there is no repository
        return ""
    return completed.text.rstrip("\n") if completed.code == 0 else ""
