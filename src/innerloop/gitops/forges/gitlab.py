"""GitLab: gitlab.com and self-managed, REST API v4."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from innerloop.gitops.forges import wording
from innerloop.gitops.forges.address import Address
from innerloop.gitops.forges.answers import Answer, Dialect, Scopes, message_words
from innerloop.gitops.forges.errors import Conflict, ForgeError, Invalid, NotFound
from innerloop.gitops.forges.forge import CommitState, CommitStatus, Proposal, PullRequest, PullState, adopted
from innerloop.gitops.forges.http import Api
from innerloop.gitops.forges.tokens import Token

TITLE, BODY, DESCRIPTION = 255, 1_048_576, 255
"""Longest texts, in characters."""

_TO_STATE = {"pending": "pending", "success": "success", "failure": "failed", "error": "failed"}
_FROM_STATE: dict[str, CommitState] = {"success": "success", "skipped": "success", "failed": "failure"}
_PULL_STATE: dict[str, PullState] = {"opened": "open", "locked": "open", "merged": "merged", "closed": "closed"}
"""``locked`` is while it is being merged."""


def base(address: Address) -> str:
    return f"{address.server}/api/v4"


def headers(token: Token) -> dict[str, str]:
    value = token.value.reveal()
    # personal, project and OAuth tokens all come as bearer tokens; a job's own one does not
    return {"JOB-TOKEN": value} if token.source == "CI_JOB_TOKEN" else {"Authorization": f"Bearer {value}"}


def _scopes(answer: Answer) -> Scopes | None:
    body = answer.body
    if not isinstance(body, dict) or body.get("error") != "insufficient_scope":
        return None
    return Scopes(tuple(str(body.get("scope") or "api").split()))


DIALECT = Dialect(
    "GitLab",
    message_words,
    _scopes,
    "it takes a token with the scope `api` and the role Developer; the CI_JOB_TOKEN of a job may not open merge"
    " requests",
)


class GitLab:
    name = "GitLab"

    def __init__(self, api: Api, address: Address) -> None:
        self._api = api
        address.owner_and_name(self.name)
        # groups have subgroups: the whole path names the project
        self._project = f"projects/{quote(address.path, safe='')}"

    async def find(self, head: str, base: str) -> PullRequest | None:
        query = {"source_branch": head, "target_branch": base, "order_by": "created_at", "sort": "desc"}
        for state in ("opened", "all"):
            found = await self._api.get(f"{self._project}/merge_requests", {**query, "state": state, "per_page": 100})
            # forks have branches of the same names
            own = [merge for merge in found if merge["source_project_id"] == merge["target_project_id"]]
            if own:
                return _pull_request(own[0])
        return None

    async def create(self, proposal: Proposal) -> PullRequest:
        wanted = {
            "source_branch": proposal.head,
            "target_branch": proposal.base,
            **_texts(proposal),
            "labels": ",".join(proposal.labels),
            "reviewer_ids": await self._ids(proposal.reviewers),
        }
        try:
            return _pull_request(await self._api.post(f"{self._project}/merge_requests", wanted))
        except (Conflict, Invalid) as refused:
            return await adopted(self, proposal, refused)

    async def update(self, number: int, proposal: Proposal) -> PullRequest:
        wanted: dict[str, Any] = {**_texts(proposal), "add_labels": ",".join(proposal.labels)}
        if ids := await self._ids(proposal.reviewers):
            # the list replaces the one that is there
            there = [user["id"] for user in (await self._api.get(self._merge(number)))["reviewers"]]
            wanted["reviewer_ids"] = [*there, *(number for number in ids if number not in there)]
        return _pull_request(await self._api.put(self._merge(number), wanted))

    async def close(self, number: int, reason: str) -> None:
        if (await self._api.get(self._merge(number)))["state"] != "opened":
            return
        await self._api.put(self._merge(number), {"state_event": "close"})
        if reason:
            await self._api.post(f"{self._merge(number)}/notes", {"body": reason})

    async def of_commit(self, commit: str) -> PullRequest | None:
        try:
            found = await self._api.get(f"{self._project}/repository/commits/{commit}/merge_requests")
        except NotFound as error:
            if "Commit" in error.words:
                return None
            raise
        merged = [merge for merge in found if merge["state"] == "merged"]
        exact = (merge for merge in merged if commit in (merge["merge_commit_sha"], merge["squash_commit_sha"]))
        chosen = next(exact, merged[0] if merged else None)
        return chosen and _pull_request(chosen)

    async def statuses(self, commit: str) -> list[CommitStatus]:
        pages = self._api.pages(f"{self._project}/repository/commits/{commit}/statuses", {"per_page": 100})
        found = [item async for page in pages for item in page]
        # each pipeline of a commit has its own
        last = {item["name"]: item for item in sorted(found, key=lambda item: int(item["id"]))}
        return [_status(item) for item in last.values()]

    async def set_status(self, commit: str, status: CommitStatus) -> None:
        wanted = {
            "name": status.context,
            "state": _TO_STATE[status.state],
            "description": wording.title(status.description, DESCRIPTION),
            **({"target_url": status.url} if status.url else {}),
        }
        try:
            await self._api.post(f"{self._project}/statuses/{commit}", wanted, repeatable=True)
        except Invalid as error:
            # it refuses a state that the status has, or has passed: pending again, pending while it runs
            if "Cannot transition status" not in error.words or not await self._has(commit, status):
                raise

    async def _has(self, commit: str, status: CommitStatus) -> bool:
        there = [item.state for item in await self.statuses(commit) if item.context == status.context]
        return bool(there) and _TO_STATE[there[-1]] == _TO_STATE[status.state]

    def _merge(self, number: int) -> str:
        return f"{self._project}/merge_requests/{number}"

    async def _ids(self, names: tuple[str, ...]) -> list[int]:
        return [await self._id(name.removeprefix("@")) for name in names]

    async def _id(self, name: str) -> int:
        found = await self._api.get("users", {"username": name})
        if not found:
            raise ForgeError(f"GitLab has no user {name!r}", hint="check `gitops.reviewers` in loop.yaml")
        return int(found[0]["id"])


def _texts(proposal: Proposal) -> dict[str, str]:
    return {"title": wording.title(proposal.title, TITLE), "description": wording.body(proposal.body, BODY, "GitLab")}


def _status(item: Any) -> CommitStatus:
    state = item["status"]
    known: CommitState = "error" if state == "canceled" else _FROM_STATE.get(state, "pending")
    return CommitStatus(item["name"], known, item["description"] or "", item["target_url"] or "")


def _pull_request(data: Any) -> PullRequest:
    state = _PULL_STATE[data["state"]]
    # a fast-forward makes no commit of its own
    merged = data["merge_commit_sha"] or data["squash_commit_sha"] or data["sha"]
    return PullRequest(
        number=data["iid"],
        url=data["web_url"],
        state=state,
        title=data["title"],
        body=data["description"] or "",
        head=data["source_branch"],
        base=data["target_branch"],
        head_commit=data["sha"],
        merge_commit=merged if state == "merged" else "",
    )
