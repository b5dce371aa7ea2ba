"""Shallow clones of other projects' repositories, by the git program and with the user's credentials.

One folder per address and ref below the cache. Whoever fetches holds the lock beside it; a clone appears by renaming,
so there are no half ones.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from pathlib import Path

from innerloop.errors import LoopError
from innerloop.events import Emit, Notice, Outcome, reported
from innerloop.locking import locked
from innerloop.paths import cache_dir
from innerloop.processes import ProgramFailed, find_program, run

_FULL_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
# git would otherwise ask on a terminal that it does not have
_ENV = {"GIT_TERMINAL_PROMPT": "0"}


async def checkout(url: str, ref: str | None, *, name: str, emit: Emit) -> Path:
    """The folder of a clone of ``url`` at ``ref`` (branch, tag, full commit id; None: the default branch), up to date.

    What is there already serves when the server cannot be reached, which a Notice tells, and for a commit id always.
    Raises LoopError with git's own words when there is nothing to serve.
    """
    git = find_program("git", purpose=f"to fetch the dependency {name}", hint="install git")
    folder = cache_dir() / "git" / hashlib.sha256(f"{url}\n{ref or ''}".encode()).hexdigest()[:20]
    folder.parent.mkdir(parents=True, exist_ok=True)
    async with locked(folder.with_suffix(".lock")):
        if ref and _FULL_SHA.fullmatch(ref) and folder.is_dir():
            return folder
        with reported(emit, f"fetch/{name}", f"fetch {name}") as outcome:
            if folder.is_dir():
                await _update(git, folder, url, ref, name, emit, outcome)
            else:
                await _clone(git, folder, url, ref, name)
                outcome.summary = await _commit(git, folder)
    return folder


async def _clone(git: str, folder: Path, url: str, ref: str | None, name: str) -> None:
    draft = folder.with_suffix(f".{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        await run([git, "init", "--quiet", str(draft)], env=_ENV)
        await _fetch(git, draft, url, ref)
        draft.rename(folder)
    except ProgramFailed as error:
        hint = "check the address, the ref (a commit needs its full id) and your access: git ls-remote shows all three"
        at = f" at {ref}" if ref else ""
        raise LoopError(f"dependency {name}: cannot fetch {url}{at}", detail=error.detail, hint=hint) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


async def _update(git: str, folder: Path, url: str, ref: str | None, name: str, emit: Emit, outcome: Outcome) -> None:
    before = await _commit(git, folder)
    try:
        await _fetch(git, folder, url, ref)
    except ProgramFailed as error:
        fetched = time.strftime("%Y-%m-%d %H:%M", time.localtime((folder / ".git" / "FETCH_HEAD").stat().st_mtime))
        message = f"{name} could not be fetched; the copy of {fetched} ({before}) is used"
        emit(Notice(level="warning", message=message, detail=error.detail or ""))
        outcome.summary = f"{before}, not fetched"
        return
    after = await _commit(git, folder)
    outcome.summary = f"{after}, unchanged" if after == before else after


async def _fetch(git: str, folder: Path, url: str, ref: str | None) -> None:
    at = [git, "-C", str(folder)]
    await run([*at, "fetch", "--quiet", "--depth", "1", "--no-tags", "--", url, ref or "HEAD"], env=_ENV)
    await run([*at, "checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"], env=_ENV)
    await run([*at, "clean", "--quiet", "-ffd"], env=_ENV)


async def _commit(git: str, folder: Path) -> str:
    return (await run([git, "-C", str(folder), "rev-parse", "--short", "HEAD"], env=_ENV)).text.strip()
