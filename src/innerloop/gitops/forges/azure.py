"""Azure DevOps Repos: dev.azure.com, visualstudio.com and Azure DevOps Server. REST API, version 7.1."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from innerloop.gitops.forges import wording
from innerloop.gitops.forges.address import Address
from innerloop.gitops.forges.answers import Dialect, message_words
from innerloop.gitops.forges.azure_places import place
from innerloop.gitops.forges.errors import Conflict, ForgeError, Invalid
from innerloop.gitops.forges.forge import CommitState, CommitStatus, Proposal, PullRequest, PullState, adopted
from innerloop.gitops.forges.http import Api
from innerloop.gitops.forges.tokens import Token

TITLE, BODY, DESCRIPTION = 400, 4000, 1000
"""Longest texts, in characters."""
VERSION = {"api-version": "7.1"}
PAGE = 100

_TO_STATE = {"pending": "pending", "success": "succeeded", "failure": "failed", "error": "error"}
_FROM_STATE: dict[str, CommitState] = {"succeeded": "success", "notApplicable": "success"}
_FROM_STATE |= {"failed": "failure", "error": "error"}
_PULL_STATE: dict[str, PullState] = {"active": "open", "completed": "merged", "abandoned": "closed"}
_HEADS = "refs/heads/"
_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

DIALECT = Dialect(
    "Azure DevOps",
    message_words,
    lambda answer: None,
    "it takes a personal access token with `Code (read & write)` and `Code (status)`, and `Identity (read)` where"
    " there are reviewers",
)


def base(address: Address) -> str:
    return place(address).organization


def headers(token: Token) -> dict[str, str]:
    value = token.value.reveal()
    # tokens of Entra and of pipelines are JSON web tokens
    if value.startswith("eyJ") and value.count(".") == 2:
        return {"Authorization": f"Bearer {value}"}
    return {"Authorization": "Basic " + b64encode(f":{value}".encode()).decode()}


class AzureDevOps:
    name = "Azure DevOps"

    def __init__(self, api: Api, address: Address) -> None:
        self._api = api
        at = place(address)
        self._identities = f"{at.identities}/_apis/identities"
        project, repository = quote(at.project), quote(at.repository)
        self._repository = f"{project}/_apis/git/repositories/{repository}"
        self._web = f"{at.organization}/{project}/_git/{repository}"

    async def find(self, head: str, base: str) -> PullRequest | None:
        branches = {"sourceRefName": _HEADS + head, "targetRefName": _HEADS + base}
        criteria = {f"searchCriteria.{name}": value for name, value in branches.items()}
        for status in ("active", "all"):
            query = {**VERSION, **criteria, "searchCriteria.status": status, "$top": PAGE}
            found = (await self._api.get(f"{self._repository}/pullrequests", query))["value"]
            # newest first; forks have branches of the same names
            own = [pull["pullRequestId"] for pull in found if not pull.get("forkSource")]
            if own:
                # lists cut descriptions at 400 characters
                return self._pull_request(await self._pull(own[0]))
        return None

    async def create(self, proposal: Proposal) -> PullRequest:
        wanted = {
            "sourceRefName": _HEADS + proposal.head,
            "targetRefName": _HEADS + proposal.base,
            **_texts(proposal),
            "labels": [{"name": label} for label in proposal.labels],
            "reviewers": [{"id": await self._identity(name)} for name in proposal.reviewers],
        }
        try:
            made = await self._api.post(f"{self._repository}/pullrequests", wanted, query=VERSION)
        except (Conflict, Invalid) as refused:
            return await adopted(self, proposal, refused)
        return self._pull_request(made)

    async def update(self, number: int, proposal: Proposal) -> PullRequest:
        pull = await self._api.patch(self._path(number), _texts(proposal), query=VERSION)
        if proposal.labels:
            labels = (await self._api.get(f"{self._path(number)}/labels", VERSION))["value"]
            there = {label["name"].casefold() for label in labels}
            for label in proposal.labels:
                if label.casefold() not in there:
                    await self._api.post(f"{self._path(number)}/labels", {"name": label}, query=VERSION)
        there = {reviewer["id"].casefold() for reviewer in pull.get("reviewers") or []}
        for name in proposal.reviewers:
            # one who is there would lose their vote
            if (identity := await self._identity(name)).casefold() not in there:
                await self._api.put(f"{self._path(number)}/reviewers/{identity}", {"vote": 0}, query=VERSION)
        return self._pull_request(pull)

    async def close(self, number: int, reason: str) -> None:
        if (await self._pull(number))["status"] != "active":
            return
        await self._api.patch(self._path(number), {"status": "abandoned"}, query=VERSION)
        if reason:
            comment = {"parentCommentId": 0, "content": reason, "commentType": "text"}
            thread = {"comments": [comment], "status": "closed"}
            await self._api.post(f"{self._path(number)}/threads", thread, query=VERSION)

    async def of_commit(self, commit: str) -> PullRequest | None:
        queries = [{"type": kind, "items": [commit]} for kind in ("lastMergeCommit", "commit")]
        asked = {"queries": queries}
        path = f"{self._repository}/pullrequestquery"
        results = (await self._api.post(path, asked, query=VERSION, repeatable=True))["results"]
        found = [pull for result in results for pulls in result.values() for pull in pulls]
        merged = [self._pull_request(pull) for pull in found if pull["status"] == "completed"]
        return merged[0] if merged else None

    async def statuses(self, commit: str) -> list[CommitStatus]:
        path = f"{self._repository}/commits/{commit}/statuses"
        return [_status(item) async for item in self._all(path, {"latestOnly": "true"})]

    async def set_status(self, commit: str, status: CommitStatus) -> None:
        genre, _, name = status.context.rpartition("/")
        wanted = {
            "context": {"name": name, "genre": genre},
            "state": _TO_STATE[status.state],
            "description": wording.title(status.description, DESCRIPTION),
            **({"targetUrl": status.url} if status.url else {}),
        }
        path = f"{self._repository}/commits/{commit}/statuses"
        await self._api.post(path, wanted, query=VERSION, repeatable=True)

    def _path(self, number: int) -> str:
        return f"{self._repository}/pullrequests/{number}"

    async def _pull(self, number: int) -> Any:
        return await self._api.get(self._path(number), VERSION)

    async def _all(self, path: str, query: dict[str, str]) -> AsyncIterator[Any]:
        """What a list has, page by page: there are no links, only how many to leave out."""
        skipped = 0
        while True:
            page = (await self._api.get(path, {**VERSION, **query, "top": PAGE, "skip": skipped}))["value"]
            for item in page:
                yield item
            skipped += len(page)
            if len(page) < PAGE:
                return

    async def _identity(self, name: str) -> str:
        """The id of a person or group, by e-mail address or name; an id stays as it is."""
        if _ID.fullmatch(name):
            return name
        query = {**VERSION, "searchFilter": "General", "filterValue": name, "queryMembership": "None"}
        found = (await self._api.get(self._identities, query))["value"]
        if len(found) != 1:
            problem = "has no user or group" if not found else f"has {len(found)} users or groups"
            raise ForgeError(f"Azure DevOps {problem} {name!r}", hint="give an e-mail address in `gitops.reviewers`")
        return str(found[0]["id"])

    def _pull_request(self, data: Any) -> PullRequest:
        state = _PULL_STATE[data["status"]]
        return PullRequest(
            number=data["pullRequestId"],
            url=f"{self._web}/pullrequest/{data['pullRequestId']}",
            state=state,
            title=data["title"],
            body=data.get("description") or "",
            head=data["sourceRefName"].removeprefix(_HEADS),
            base=data["targetRefName"].removeprefix(_HEADS),
            head_commit=_commit(data.get("lastMergeSourceCommit")),
            # of an active one it is a trial merge
            merge_commit=_commit(data.get("lastMergeCommit")) if state == "merged" else "",
        )


def _texts(proposal: Proposal) -> dict[str, str]:
    description = wording.body(proposal.body, BODY, "Azure DevOps")
    return {"title": wording.title(proposal.title, TITLE), "description": description}


def _commit(data: Any) -> str:
    # the service fills them in by and by
    return str((data or {}).get("commitId", ""))


def _status(item: Any) -> CommitStatus:
    context = "/".join(filter(None, (item["context"].get("genre"), item["context"]["name"])))
    state = _FROM_STATE.get(item["state"], "pending")
    return CommitStatus(context, state, item.get("description") or "", item.get("targetUrl") or "")
