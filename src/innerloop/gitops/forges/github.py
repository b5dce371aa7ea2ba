"""GitHub: github.com, data residency (ghe.com) and Enterprise Server. REST API, version 2022-11-28."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from innerloop.gitops.forges import wording
from innerloop.gitops.forges.address import Address
from innerloop.gitops.forges.answers import Answer, Dialect, Scopes, message_words
from innerloop.gitops.forges.errors import Invalid
from innerloop.gitops.forges.forge import CommitStatus, Proposal, PullRequest
from innerloop.gitops.forges.pulls import Pulls
from innerloop.gitops.forges.tokens import Token

TITLE, BODY, DESCRIPTION = 256, 65_536, 140
"""Longest texts, in characters."""


def base(address: Address) -> str:
    if address.host == "github.com" or address.host.endswith(".ghe.com"):
        return f"https://api.{address.host}"
    return f"{address.server}/api/v3"


def headers(token: Token) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {token.value.reveal()}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }


def _scopes(answer: Answer) -> Scopes | None:
    # classic tokens: any of X-Accepted-OAuth-Scopes would do; fine-grained ones: alternatives are put apart by ;
    accepted = _listed(answer, "X-Accepted-OAuth-Scopes", ",")
    if "X-OAuth-Scopes" in answer.headers:
        granted = _listed(answer, "X-OAuth-Scopes", ",")
        return Scopes(accepted, granted) if accepted and not set(accepted) & set(granted) else None
    permissions = _listed(answer, "X-Accepted-GitHub-Permissions", ";")
    return Scopes(permissions) if permissions and "not accessible by" in message_words(answer.body) else None


def _listed(answer: Answer, header: str, separator: str) -> tuple[str, ...]:
    return tuple(filter(None, (item.strip() for item in answer.headers.get(header, "").split(separator))))


DIALECT = Dialect(
    "GitHub",
    message_words,
    _scopes,
    "a classic token needs the scope `repo`; a fine-grained one `Pull requests` and `Commit statuses`, read and write",
)


class GitHub(Pulls):
    name = "GitHub"

    async def find(self, head: str, base: str) -> PullRequest | None:
        # without its owner, the head would be ignored
        branches = {"head": f"{self._owner}:{head}", "base": base}
        for state in ("open", "closed"):
            query = {**branches, "state": state, "sort": "created", "direction": "desc"}
            found = await self._api.get(f"{self._repository}/pulls", query)
            if found:
                return _pull_request(found[0])
        return None

    async def of_commit(self, commit: str) -> PullRequest | None:
        try:
            found = await self._api.get(f"{self._repository}/commits/{commit}/pulls")
        except Invalid:
            # "No commit found for SHA"
            return None
        merged = [pull for pull in map(_pull_request, found) if pull.state == "merged"]
        return next((pull for pull in merged if pull.merge_commit == commit), merged[0] if merged else None)

    async def statuses(self, commit: str) -> list[CommitStatus]:
        pages = self._api.pages(f"{self._repository}/commits/{commit}/status", {"per_page": 100})
        return [
            CommitStatus(item["context"], item["state"], item["description"] or "", item["target_url"] or "")
            async for page in pages
            for item in page["statuses"]
        ]

    async def set_status(self, commit: str, status: CommitStatus) -> None:
        wanted = {
            "context": status.context,
            "state": status.state,
            "description": wording.title(status.description, DESCRIPTION),
            **({"target_url": status.url} if status.url else {}),
        }
        await self._api.post(f"{self._repository}/statuses/{commit}", wanted, repeatable=True)

    def _read(self, data: Any) -> PullRequest:
        return _pull_request(data)

    def _texts(self, proposal: Proposal) -> dict[str, str]:
        return {"title": wording.title(proposal.title, TITLE), "body": wording.body(proposal.body, BODY, self.name)}

    async def _labels_to_add(self, names: Sequence[str]) -> Sequence[str]:
        return names

    def _request(self, reviewers: Sequence[str]) -> dict[str, list[str]]:
        people = [name for name in reviewers if "/" not in name]
        teams = [name.partition("/")[2] for name in reviewers if "/" in name]
        return {"reviewers": people, "team_reviewers": teams}

    async def _unasked(self, pull: Any, reviewers: Sequence[str]) -> list[str]:
        # whoever has reviewed is no longer among the asked, and is not asked again
        asked = {user["login"].casefold() for user in [pull["user"], *pull["requested_reviewers"]]}
        asked |= {f"{self._owner}/{team['slug']}".casefold() for team in pull["requested_teams"]}
        if all(name.casefold() in asked for name in reviewers):
            return []
        async for page in self._api.pages(f"{self._pull(pull['number'])}/reviews", {"per_page": 100}):
            asked |= {review["user"]["login"].casefold() for review in page if review["user"]}
        return [name for name in reviewers if name.casefold() not in asked]


def _pull_request(data: Any) -> PullRequest:
    merged = bool(data["merged_at"])
    return PullRequest(
        number=data["number"],
        url=data["html_url"],
        state="merged" if merged else data["state"],
        title=data["title"],
        body=data["body"] or "",
        head=data["head"]["ref"],
        base=data["base"]["ref"],
        head_commit=data["head"]["sha"],
        # of an open one it is a trial merge
        merge_commit=data["merge_commit_sha"] or "" if merged else "",
    )
