"""The commit of the project's own repository that is rendered, asked of the git program."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from innerloop import processes
from innerloop.events import Emit, Notice
from innerloop.gitops.forges.address import without_user
from innerloop.gitops.provenance import SourceCommit
from innerloop.paths import LOCK_FILE

_ENV = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
_FORMAT = "%H%x00%an <%ae>%x00%aI%x00%s%x00%b"

NOWHERE = SourceCommit(repository="", commit="")
"""Of a project that is in no repository."""


async def source_commit(
    folder: Path, paths: Iterable[Path], emit: Emit, *, written: Iterable[Path] = ()
) -> SourceCommit:
    """The commit that is checked out in ``folder``; not clean where one of the paths has changes that no commit has.

    Files that git ignores count only among ``written``, which people write: others are made by programs. The lock
    does not count, since a pipeline makes it before it is committed. Without git, and where git refuses, a Notice tells
    that the manifests will name no commit.
    """
    if shutil.which("git") is None:
        _warn(emit, "git is not on PATH", "")
        return NOWHERE
    code, top, problem = await _git(folder, "rev-parse", "--show-toplevel")
    if code:
        if "not a git repository" not in problem:
            _warn(emit, "git does not show the project's repository", problem)
        return NOWHERE
    async with asyncio.TaskGroup() as group:
        log = group.create_task(_git(folder, "log", "-1", f"--format={_FORMAT}"), name="git log")
        address = group.create_task(remote_address(folder), name="git remote")
        root = Path(top.rstrip("\n"))
        changes = group.create_task(_changes(folder, _below(paths, root)), name="git status")
        ignored = group.create_task(_ignored(folder, _below(written, root)), name="git ls-files")
    code, text, _ = log.result()
    if code:
        # no commit yet
        return SourceCommit(repository=address.result(), commit="", clean=False)
    commit, author, date, subject, body = text.rstrip("\n").split("\0", 4)
    return SourceCommit(
        repository=address.result(),
        commit=commit,
        author=author,
        date=date,
        subject=subject,
        body=body.strip(),
        clean=not changes.result() and not ignored.result(),
    )


async def remote_address(folder: Path) -> str:
    """Of the remote ``origin``, else of the first one, without user and password; empty where there is none."""
    _, names, _ = await _git(folder, "remote")
    remotes = names.split()
    if not remotes:
        return ""
    name = "origin" if "origin" in remotes else remotes[0]
    _, address, _ = await _git(folder, "remote", "get-url", name)
    return without_user(address.strip())


async def _changes(folder: Path, paths: list[str]) -> str:
    if not paths:
        return ""
    _, text, _ = await _git(folder, "status", "--porcelain", "--", *paths, f":(top,exclude,glob)**/{LOCK_FILE}")
    return text


async def _ignored(folder: Path, files: list[str]) -> str:
    if not files:
        return ""
    _, text, _ = await _git(folder, "ls-files", "--others", "--ignored", "--exclude-standard", "--", *files)
    return text


def _below(paths: Iterable[Path], top: Path) -> list[str]:
    """Those that the repository has; git tells the top without symbolic links."""
    real = (Path(os.path.realpath(path)) for path in paths)
    return [str(path) for path in real if path.is_relative_to(top)]


async def _git(folder: Path, *arguments: str) -> tuple[int, str, str]:
    done = await processes.run(["git", "-C", str(folder), *arguments], env=_ENV, check=False)
    return done.code, done.text, done.stderr.decode(errors="replace").strip()


def _warn(emit: Emit, message: str, detail: str) -> None:
    hint = "without it the manifests do not tell which commit they are from"
    emit(Notice(level="warning", message=message, detail=detail, hint=hint))
