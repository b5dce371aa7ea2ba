"""A host of which no more is asked than to take a branch.

A pull request is made by a person there: ``create`` gives one with number 0 whose ``url`` is the page for it, where
the host is one whose pages we know. Git itself prints the page of others when a branch is pushed.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from innerloop.gitops.forges.address import Address
from innerloop.gitops.forges.azure_places import place
from innerloop.gitops.forges.forge import CommitStatus, Proposal, PullRequest


class PlainGit:
    name = "git"

    def __init__(self, address: Address | None, kind: str | None) -> None:
        """``kind`` is the forge that the host is known to be, though it is not to be asked for anything."""
        self._address = address
        self._kind = kind

    async def find(self, head: str, base: str) -> PullRequest | None:
        return None

    async def create(self, proposal: Proposal) -> PullRequest:
        url = page(self._kind, self._address, proposal.head, proposal.base) if self._address else ""
        return PullRequest(0, url, "open", proposal.title, proposal.body, proposal.head, proposal.base, "", "")

    async def update(self, number: int, proposal: Proposal) -> PullRequest:
        return await self.create(proposal)

    async def close(self, number: int, reason: str) -> None:
        """There is none that we know of."""

    async def of_commit(self, commit: str) -> PullRequest | None:
        return None

    async def statuses(self, commit: str) -> list[CommitStatus]:
        return []

    async def set_status(self, commit: str, status: CommitStatus) -> None:
        """Git has no place for it."""


def page(kind: str | None, address: Address, head: str, base: str) -> str:
    """Where a person opens a pull request; empty where the host is not known."""
    repository = f"{address.server}/{quote(address.path)}"
    match kind:
        case "github":
            return f"{repository}/compare/{quote(base)}...{quote(head)}?expand=1"
        case "gitea":
            return f"{repository}/compare/{quote(base)}...{quote(head)}"
        case "gitlab":
            branches = {"merge_request[source_branch]": head, "merge_request[target_branch]": base}
            return f"{repository}/-/merge_requests/new?{urlencode(branches)}"
        case "bitbucket":
            return f"{repository}/pull-requests/new?{urlencode({'source': head, 'dest': base})}"
        case "azure":
            at = place(address)
            repository = f"{at.organization}/{quote(at.project)}/_git/{quote(at.repository)}"
            return f"{repository}/pullrequestcreate?{urlencode({'sourceRef': head, 'targetRef': base})}"
        case _:
            return ""
