"""Pull requests as GitHub's API has them, and Gitea's, which follows it there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from innerloop.gitops.forges.address import Address
from innerloop.gitops.forges.errors import Conflict, Invalid
from innerloop.gitops.forges.forge import CommitStatus, Proposal, PullRequest, adopted
from innerloop.gitops.forges.http import Api


class Pulls(ABC):
    """A Forge whose pull requests are at ``repos/OWNER/NAME/pulls``."""

    name: str

    def __init__(self, api: Api, address: Address) -> None:
        self._api = api
        self._owner, repository = address.owner_and_name(self.name)
        self._repository = f"repos/{quote(self._owner)}/{quote(repository)}"

    @abstractmethod
    async def find(self, head: str, base: str) -> PullRequest | None: ...

    async def create(self, proposal: Proposal) -> PullRequest:
        wanted = {"head": proposal.head, "base": proposal.base, **self._texts(proposal)}
        try:
            made = await self._api.post(f"{self._repository}/pulls", wanted)
        except (Conflict, Invalid) as refused:
            return await adopted(self, proposal, refused)
        return await self._dressed(made, proposal)

    async def update(self, number: int, proposal: Proposal) -> PullRequest:
        return await self._dressed(await self._api.patch(self._pull(number), self._texts(proposal)), proposal)

    async def close(self, number: int, reason: str) -> None:
        if (await self._api.get(self._pull(number)))["state"] != "open":
            return
        await self._api.patch(self._pull(number), {"state": "closed"})
        if reason:
            await self._api.post(f"{self._repository}/issues/{number}/comments", {"body": reason})

    @abstractmethod
    async def of_commit(self, commit: str) -> PullRequest | None: ...

    @abstractmethod
    async def statuses(self, commit: str) -> list[CommitStatus]: ...

    @abstractmethod
    async def set_status(self, commit: str, status: CommitStatus) -> None: ...

    @abstractmethod
    def _read(self, data: Any) -> PullRequest:
        """A pull request as the API tells it."""

    @abstractmethod
    def _texts(self, proposal: Proposal) -> Mapping[str, str]:
        """``title`` and ``body``, as long as they may be."""

    @abstractmethod
    async def _labels_to_add(self, names: Sequence[str]) -> Sequence[str | int]:
        """Labels as the API takes them."""

    @abstractmethod
    async def _unasked(self, pull: Any, reviewers: Sequence[str]) -> list[str]:
        """Those who were never asked to review it and did not make it."""

    @abstractmethod
    def _request(self, reviewers: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """What asks them."""

    def _pull(self, number: int) -> str:
        return f"{self._repository}/pulls/{number}"

    async def _dressed(self, pull: Any, proposal: Proposal) -> PullRequest:
        """Give it the labels and reviewers that it lacks."""
        number = pull["number"]
        there = {label["name"].casefold() for label in pull["labels"] or []}
        if names := [name for name in proposal.labels if name.casefold() not in there]:
            labels = {"labels": await self._labels_to_add(names)}
            await self._api.post(f"{self._repository}/issues/{number}/labels", labels, repeatable=True)
        if proposal.reviewers and (reviewers := await self._unasked(pull, proposal.reviewers)):
            asked = self._request(reviewers)
            await self._api.post(f"{self._pull(number)}/requested_reviewers", asked, repeatable=True)
        return self._read(pull)
