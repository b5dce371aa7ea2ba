"""Where a source commit is on its way to an environment, as data."""

from __future__ import annotations

from typing import Literal

import msgspec

from innerloop.gitops.agents.verdicts import Follower

State = Literal["not promoted", "in pull request", "merged", "applied", "healthy", "failed", "overtaken"]
"""``applied`` is what an agent has applied and what is not, or not known to be, healthy yet. ``overtaken``: the
environment has a newer commit that contains it, or was rolled back from it."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a source commit is on its way to one environment."""

    project: str
    environment: str
    commit: str
    """The source commit that was asked about."""
    state: State
    message: str = ""
    """For people: what is waited for, why it failed, what overtook it."""
    settled: bool = False
    """Whether nothing more will come of it unless somebody does something."""
    promoted: str = ""
    """The source commit that the environment's branch has; empty where it has none."""
    gitops_commit: str = ""
    """The commit of the GitOps repository by which that came to the branch."""
    pull_request: str = ""
    """URL of the pull request that has, or had, the commit; empty where none is known."""
    followers: tuple[Follower, ...] = ()
    """The agents that apply the environment, as far as they could be asked."""
    hidden: tuple[str, ...] = ()
    """What could not be looked at, and why."""

    @property
    def words(self) -> str:
        """In a line: ``merged: Application argocd/vote has not applied it yet``."""
        return f"{self.state}: {self.message}" if self.message else self.state


def short(commit: str) -> str:
    """A commit's id as people say it."""
    return commit[:7]
