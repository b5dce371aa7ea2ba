"""Which of the project's own commits comes before which, asked of its clone.

This, and not what commit messages say, joins a source commit with what is in the GitOps repository: however a pull
request was merged there, the file of provenance names the source commit, and whoever has a newer one has this too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from innerloop import processes
from innerloop.errors import LoopError
from innerloop.processes import Completed

Relation = Literal["same", "before", "after", "apart", "unknown"]
"""``before``: the first is an ancestor of the second. ``apart``: neither is the other's. ``unknown``: the clone lacks
one of them, or the history between them."""

_ENV = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


class History:
    """The history that one clone has; what was found is remembered, for commits do not change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[tuple[str, str], Relation] = {}

    async def resolve(self, name: str) -> str:
        """The full id of a commit by any name that git takes. Raises LoopError where the clone has no such commit."""
        done = await self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if done.code == 0:
            return done.text.strip()
        words = done.stderr.decode(errors="replace").strip()
        if "not a git repository" in words:
            raise LoopError(
                f"{self._folder} is in no git repository, so that nothing tells which commit is meant",
                hint="run it in the project's clone",
            )
        raise LoopError(
            f"the project's clone has no commit '{name}'",
            detail=words or None,
            hint="fetch it (git fetch), or name another",
        )

    async def relation(self, one: str, other: str) -> Relation:
        """How the full ids of two commits stand to each other."""
        if one == other:
            return "same"
        found = self._known.get((one, other))
        if found is None:
            found = await self._asked(one, other)
            # what the clone lacks now it may fetch
            if found != "unknown":
                self._known[one, other] = found
        return found

    async def _asked(self, one: str, other: str) -> Relation:
        forward = (await self._git("merge-base", "--is-ancestor", one, other)).code
        if forward == 0:
            return "before"
        backward = (await self._git("merge-base", "--is-ancestor", other, one)).code
        if backward == 0:
            return "after"
        # any other status: one of them is not there
        if (forward, backward) != (1, 1) or await self._is_shallow():
            return "unknown"
        return "apart"

    async def _is_shallow(self) -> bool:
        return (await self._git("rev-parse", "--is-shallow-repository")).text.strip() == "true"

    async def _git(self, *arguments: str) -> Completed:
        return await processes.run(["git", "-C", str(self._folder), *arguments], env=_ENV, check=False)
