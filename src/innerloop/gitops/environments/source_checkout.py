"""The project as it was in a commit: in a clone of its own, so that nobody's checkout is touched."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from innerloop.errors import LoopError
from innerloop.events import Emit, reported
from innerloop.gitops.environments.source_commit import remote_address
from innerloop.gitops.provenance import SourceCommit
from innerloop.gitops.repository.git import environment
from innerloop.processes import Completed, ProgramFailed, run

_ENVIRONMENT = {
    # large files are no templates, and would have to be fetched
    "GIT_LFS_SKIP_SMUDGE": "1"
}


@asynccontextmanager
async def checked_out(file: Path, source: SourceCommit, emit: Emit) -> AsyncIterator[Path]:
    """The project's file as it was in a commit, for as long as the block lasts, with all that is beside it.

    The clone shares the objects of the user's, which is only read. A commit that it lacks is fetched from its remote.
    Raises LoopError.
    """
    top = Path((await _git(file.parent, "rev-parse", "--show-toplevel")).text.rstrip("\n"))
    below = Path(os.path.realpath(file)).relative_to(os.path.realpath(top))
    short = source.commit[:12]
    with tempfile.TemporaryDirectory(prefix="innerloop-source-") as folder:
        clone = Path(folder) / "source"
        with reported(emit, f"checkout/{short}", f"take the sources of {short}") as outcome:
            await _git(
                file.parent, "clone", "--quiet", "--shared", "--no-checkout", "--template=", str(top), str(clone)
            )
            # what is rendered tells where it is from; a clone of its own would say the folder
            address = await remote_address(file.parent)
            await _git(
                clone, *(["remote", "set-url", "origin", address] if address else ["remote", "remove", "origin"])
            )
            if (await _git(clone, "cat-file", "-e", f"{source.commit}^{{commit}}", check=False)).code:
                await _fetch(file.parent, clone, source)
            await _git(clone, "checkout", "--quiet", "--detach", source.commit)
            outcome.summary = source.subject
        there = clone / below
        if not there.is_file():
            raise LoopError(f"commit {short} has no {below}", hint="promote from the sources: without --from")
        yield there


async def _fetch(folder: Path, clone: Path, source: SourceCommit) -> None:
    """Out of the remote of the project's clone in ``folder``, as that logs in: what the GitOps repository says of where
    it is may be anybody's, and what comes from there has hooks and plugins that will run."""
    try:
        settings = await _remote(folder)
        await _git(clone, "fetch", "--quiet", "--depth=1", "--no-tags", "source", source.commit, settings=settings)
    except LoopError as error:
        raise LoopError(
            f"commit {source.commit[:12]} is not in the project's clone, and cannot be fetched",
            detail=error.detail or error.message,
            hint="was it pushed? Else fetch it: git fetch --unshallow, or git fetch --all",
        ) from error


async def _remote(folder: Path) -> dict[str, str]:
    """The clone's remote as one called ``source``, with what only the clone knows of how to log in there."""
    names = (await _git(folder, "remote")).text.split()
    if not names:
        raise LoopError("the clone lacks it, and has no remote")
    url = await _git(folder, "remote", "get-url", "origin" if "origin" in names else names[0])
    keys = r"^(http|credential|url)\.|^core\.sshcommand$"
    listed = await _git(folder, "config", "--local", "--includes", "--null", "--get-regexp", keys, check=False)
    pairs = (entry.partition("\n") for entry in listed.text.split("\0") if entry)
    # an address may have a token in it: as a setting, it is on no command line
    return {key: value for key, _, value in pairs} | {"remote.source.url": url.text.strip()}


async def _git(
    folder: Path, *arguments: str, check: bool = True, settings: Mapping[str, str] | None = None
) -> Completed:
    given = environment({"core.hooksPath": os.devnull, "advice.detachedHead": "false", **(settings or {})})
    argv = ["git", "-C", str(folder), *arguments]
    try:
        return await run(argv, env={**given, **_ENVIRONMENT}, check=check)
    except ProgramFailed as failed:
        if "not a git repository" in (failed.detail or ""):
            hint = "--from renders a commit: run it in the project's clone"
            raise LoopError(f"{folder} is in no git repository", hint=hint) from failed
        raise
