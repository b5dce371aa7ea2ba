"""What the outer loop asks of a forge: the few calls that all of them have.

Branches, commits and reverts are made by git, on every forge alike; here is only what git cannot do.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from innerloop.gitops.forges.errors import Refusal

PullState = Literal["open", "merged", "closed"]
CommitState = Literal["pending", "success", "failure", "error"]


class PullRequest(NamedTuple):
    """A pull request, or what a forge calls one (GitLab: merge request)."""

    number: int
    """0 where the host makes none: ``url`` is then the page where a person can, empty where we know of none."""
    url: str
    """For people."""
    state: PullState
    title: str
    body: str
    head: str
    """Branch that is proposed, without ``refs/heads/``."""
    base: str
    """Branch that it goes to."""
    head_commit: str
    merge_commit: str
    """The commit on ``base`` that it became, also by a squash; empty until merged."""


class Proposal(NamedTuple):
    """What a pull request is to be."""

    head: str
    base: str
    title: str
    body: str
    """Markdown; a forge with a limit gets it cut, with a note that it was."""
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    """User names as people know them (``team`` as ``owner/team`` on GitHub); a forge that wants ids looks them up.
    Whoever makes the pull request is left out, since forges refuse that."""


class CommitStatus(NamedTuple):
    context: str
    """Stable per environment (``innerloop/stage``), or required checks never match."""
    state: CommitState
    """``error`` comes back as ``failure`` from forges that know one kind of red (GitLab, Bitbucket)."""
    description: str
    url: str = ""


class Forge(Protocol):
    """One repository on one forge. Every call raises ForgeError.

    Waiting for rate limits and repeating after failures of the network or of the server is the adapters' business.
    Pull requests out of forks are not seen: both branches are in the repository.
    """

    name: str
    """As people call it."""

    async def find(self, head: str, base: str) -> PullRequest | None:
        """The newest pull request between two branches: the open one if there is one, else the last that ended."""

    async def create(self, proposal: Proposal) -> PullRequest:
        """Make one; where another process was faster, its pull request is brought up to date and returned."""

    async def update(self, number: int, proposal: Proposal) -> PullRequest:
        """Give an open one this title, text, labels and reviewers; labels and reviewers of others stay."""

    async def close(self, number: int, reason: str) -> None:
        """Close it without merging; ``reason`` becomes a comment. One that has ended already is left alone."""

    async def of_commit(self, commit: str) -> PullRequest | None:
        """The merged pull request by which a commit came to its branch, squashed or not."""

    async def statuses(self, commit: str) -> list[CommitStatus]:
        """The last status of each context."""

    async def set_status(self, commit: str, status: CommitStatus) -> None:
        """Tell a commit's status; telling the same twice is no error."""


async def adopted(forge: Forge, proposal: Proposal, refused: Refusal) -> PullRequest:
    """The open pull request because of which another one was refused, brought up to date.

    Raises ``refused`` when that was not the reason.
    """
    existing = await forge.find(proposal.head, proposal.base)
    if existing is None or existing.state != "open":
        raise refused
    return await forge.update(existing.number, proposal)
