"""Telling forges how far a promotion is: a commit's status ``innerloop/ENVIRONMENT``, there and at the source.

Agents that tell forges something tell it of the GitOps repository's commits only, and never of those that they skip.
Here the source commit gets its status as well, and one that was overtaken gets a final one.
"""

from __future__ import annotations

from innerloop.gitops.forges.address import parse
from innerloop.gitops.forges.choosing import Kind, kind_of
from innerloop.gitops.forges.forge import CommitState, CommitStatus, Forge
from innerloop.gitops.progress.progress import Progress, State

_STATES: dict[State, CommitState] = {
    "in pull request": "pending",
    "merged": "pending",
    "applied": "pending",
    "healthy": "success",
    "failed": "failure",
    # its change is there, by another commit, or was taken back on purpose: no reason to be red
    "overtaken": "success",
}
"""What was never promoted has no status."""


def commit_status(progress: Progress) -> CommitStatus | None:
    """The status that tells it; None where there is nothing to tell."""
    state = _STATES.get(progress.state)
    if state is None:
        return None
    # the URL has a field of its own
    words = progress.state if progress.message == progress.pull_request else progress.words
    return CommitStatus(f"innerloop/{progress.environment}", state, words, progress.pull_request)


async def report(progress: Progress, *, gitops: Forge | None, source: Forge | None) -> None:
    """Write the status to the commits that have it, as far as their forges can be asked. Raises ForgeError."""
    status = commit_status(progress)
    if status is None:
        return
    # the branch's commit is that of a newer one where this was overtaken
    if gitops is not None and progress.gitops_commit and progress.commit == progress.promoted:
        await gitops.set_status(progress.gitops_commit, status)
    if source is not None:
        await source.set_status(progress.commit, status)


def source_kind(address: str, gitops_address: str, configured: Kind | None) -> Kind:
    """Which forge the source is on; ``configured`` is that of the GitOps repository, which may be a neighbour.

    Raises UnknownForge.
    """
    here, there = parse(address), parse(gitops_address)
    neighbours = here is not None and there is not None and here.host == there.host
    return kind_of(address, configured if neighbours else None)[0]
