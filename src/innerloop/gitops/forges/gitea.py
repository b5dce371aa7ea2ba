"""Gitea and Forgejo, API v1 (Gitea 1.20, Forgejo 7 and later)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from innerloop.gitops.forges import wording
from innerloop.gitops.forges.address import Address
from innerloop.gitops.forges.answers import Answer, Dialect, Scopes, message_words
from innerloop.gitops.forges.errors import NotFound
from innerloop.gitops.forges.forge import CommitState, CommitStatus, Proposal, PullRequest
from innerloop.gitops.forges.pulls import Pulls
from innerloop.gitops.forges.tokens import Token

TITLE, BODY, DESCRIPTION = 255, 65_000, 255
"""Longest texts, in characters; the body's is our own, a server takes more than anyone reads."""
PAGE = 50
"""As many as a server gives unless its owner says otherwise."""
PAGES_OF_ENDED = 4
"""Pull requests that ended are looked through this far: the list can't be asked for a branch."""

COLOR = "#1d76db"
"""Of labels that we make."""

_FROM_STATE: dict[str, CommitState] = {"pending": "pending", "success": "success", "skipped": "success"}
_FROM_STATE |= {"error": "error", "failure": "failure", "warning": "failure"}
_SCOPES = re.compile(r"required scope\(s\)[^\[]*\[([^\]]*)\]")


def base(address: Address) -> str:
    prefix = "".join(f"/{quote(part)}" for part in address.parts[:-2])
    return f"{address.server}{prefix}/api/v1"


def headers(token: Token) -> dict[str, str]:
    return {"Authorization": f"token {token.value.reveal()}"}


def _scopes(answer: Answer) -> Scopes | None:
    # Gitea 1.24: "…required scope(s), required=[write:issue], token scope=read:issue"; Forgejo: "…(s): [write:issue]"
    words = message_words(answer.body)
    match = _SCOPES.search(words)
    if match is None:
        return None
    granted = words.partition("token scope=")[2].split(",")
    return Scopes(tuple(match[1].replace(",", " ").split()), tuple(filter(None, granted)))


DIALECT = Dialect("Gitea", message_words, _scopes, "it takes a token with `write:repository` and `write:issue`")


class Gitea(Pulls):
    name = "Gitea"

    async def find(self, head: str, base: str) -> PullRequest | None:
        # pulls/BASE/HEAD would give one at random where a branch was proposed more than once
        return await self._newest("open", head, base) or await self._newest("closed", head, base)

    async def of_commit(self, commit: str) -> PullRequest | None:
        try:
            return _pull_request(await self._api.get(f"{self._repository}/commits/{commit}/pull"))
        except NotFound:
            # of a repository that is not there, too: then it is the others that say so
            return None

    async def statuses(self, commit: str) -> list[CommitStatus]:
        pages = self._api.pages(f"{self._repository}/commits/{commit}/status", {"limit": PAGE})
        return [
            CommitStatus(item["context"], _FROM_STATE[item["status"]], item["description"], item["target_url"])
            async for page in pages
            for item in page["statuses"] or []
        ]

    async def set_status(self, commit: str, status: CommitStatus) -> None:
        wanted = {
            "context": status.context,
            "state": status.state,
            "description": wording.title(status.description, DESCRIPTION),
            "target_url": status.url,
        }
        await self._api.post(f"{self._repository}/statuses/{commit}", wanted, repeatable=True)

    async def _newest(self, state: str, head: str, base: str) -> PullRequest | None:
        left = PAGES_OF_ENDED if state == "closed" else -1
        async for page in self._api.pages(f"{self._repository}/pulls", {"state": state, "limit": PAGE}):
            for pull in page:
                own = pull["head"]["repo_id"] == pull["base"]["repo_id"]
                if own and (pull["head"]["label"], pull["base"]["ref"]) == (head, base):
                    return _pull_request(pull)
            left -= 1
            if not left:
                break
        return None

    def _read(self, data: Any) -> PullRequest:
        return _pull_request(data)

    def _texts(self, proposal: Proposal) -> dict[str, str]:
        return {"title": wording.title(proposal.title, TITLE), "body": wording.body(proposal.body, BODY, self.name)}

    def _request(self, reviewers: Sequence[str]) -> dict[str, Sequence[str]]:
        return {"reviewers": reviewers}

    async def _unasked(self, pull: Any, reviewers: Sequence[str]) -> list[str]:
        # those who are asked and have not answered are among the reviews, too
        asked = {pull["user"]["login"].casefold()}
        async for page in self._api.pages(f"{self._pull(pull['number'])}/reviews", {"limit": PAGE}):
            asked |= {review["user"]["login"].casefold() for review in page if review["user"]}
        return [name for name in reviewers if name.casefold() not in asked]

    async def _labels_to_add(self, names: Sequence[str]) -> list[int]:
        """Labels go by id: those of the repository, those of its organization, and new ones for the rest."""
        known = await self._labels(f"{self._repository}/labels")
        if any(name.casefold() not in known for name in names):
            try:
                known = await self._labels(f"orgs/{quote(self._owner)}/labels") | known
            except NotFound:
                # the owner is a person
                pass
        for name in names:
            if name.casefold() not in known:
                made = await self._api.post(f"{self._repository}/labels", {"name": name, "color": COLOR})
                known[name.casefold()] = made["id"]
        return [known[name.casefold()] for name in names]

    async def _labels(self, path: str) -> dict[str, int]:
        pages = self._api.pages(path, {"limit": PAGE})
        return {label["name"].casefold(): label["id"] async for page in pages for label in page}


def _pull_request(data: Any) -> PullRequest:
    return PullRequest(
        number=data["number"],
        url=data["html_url"],
        state="merged" if data["merged"] else data["state"],
        title=data["title"],
        body=data["body"],
        # where the branch is gone, `ref` is refs/pull/NUMBER/head
        head=data["head"]["label"],
        base=data["base"]["ref"],
        head_commit=data["head"]["sha"],
        merge_commit=data["merge_commit_sha"] or "" if data["merged"] else "",
    )
