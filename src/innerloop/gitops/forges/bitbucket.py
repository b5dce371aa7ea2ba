"""Bitbucket Cloud, API 2.0. (Data Center has another API, and is not known here.)"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from innerloop.gitops.forges import wording
from innerloop.gitops.forges.address import Address
from innerloop.gitops.forges.answers import Answer, Dialect, Scopes, message_words
from innerloop.gitops.forges.errors import Conflict, ForgeError, Invalid, NotFound, UnknownForge
from innerloop.gitops.forges.forge import CommitState, CommitStatus, Proposal, PullRequest, PullState, adopted
from innerloop.gitops.forges.http import Api
from innerloop.gitops.forges.tokens import Token

TITLE, BODY, DESCRIPTION = 255, 32_000, 255
"""Longest texts, in characters."""
KEY = 40
"""Longest key of a commit status."""
PAGE = 50
LOOKED_THROUGH = 200
"""Merged pull requests among which a commit's is looked for where Bitbucket has not indexed it."""

_TO_STATE = {"pending": "INPROGRESS", "success": "SUCCESSFUL", "failure": "FAILED", "error": "FAILED"}
_FROM_STATE: dict[str, CommitState] = {"INPROGRESS": "pending", "SUCCESSFUL": "success", "FAILED": "failure"}
_PULL_STATE: dict[str, PullState] = {"OPEN": "open", "MERGED": "merged"}


def base(address: Address) -> str:
    """Raises UnknownForge for a server of one's own."""
    if address.host != "bitbucket.org":
        raise UnknownForge(
            f"{address.host} is not Bitbucket Cloud",
            detail="Bitbucket Data Center has another API, which is not supported",
            hint="say `gitops.forge: git` in loop.yaml: a branch is pushed, and you open the pull request",
        )
    return "https://api.bitbucket.org/2.0"


def headers(token: Token) -> dict[str, str]:
    # API tokens log in as a person, by e-mail address; access tokens of a repository or workspace by themselves
    value = token.value.reveal()
    user = "" if token.user == "x-token-auth" else token.user
    pair = f"{user}:{value}" if user else value
    if ":" in pair:
        return {"Authorization": "Basic " + b64encode(pair.encode()).decode()}
    return {"Authorization": f"Bearer {value}"}


def _scopes(answer: Answer) -> Scopes | None:
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    detail = error.get("detail") if isinstance(error, dict) else None
    if not isinstance(detail, dict) or not detail.get("required"):
        return None
    return Scopes(tuple(detail["required"]), tuple(detail.get("granted") or ()))


DIALECT = Dialect(
    "Bitbucket",
    message_words,
    _scopes,
    "it takes an access token with `pullrequest:write` and `repository`, or an API token as EMAIL:TOKEN",
)


class Bitbucket:
    name = "Bitbucket"

    def __init__(self, api: Api, address: Address) -> None:
        self._api = api
        workspace, repository = address.owner_and_name(self.name)
        self._workspace = quote(workspace)
        self._full_name = f"{workspace}/{repository}"
        self._repository = f"repositories/{self._workspace}/{quote(repository)}"

    async def find(self, head: str, base: str) -> PullRequest | None:
        branches = f"source.branch.name = {_quoted(head)} AND destination.branch.name = {_quoted(base)}"
        ended = " OR ".join(f'state = "{state}"' for state in ("MERGED", "DECLINED", "SUPERSEDED"))
        for states in ('state = "OPEN"', ended):
            async for pull in self._pulls(f"{branches} AND ({states})"):
                # forks have branches of the same names; one that is gone has no repository
                if ((pull["source"].get("repository") or {}).get("full_name")) == self._full_name:
                    return await self._pull_request(pull)
        return None

    async def create(self, proposal: Proposal) -> PullRequest:
        wanted = {
            "source": {"branch": {"name": proposal.head}},
            "destination": {"branch": {"name": proposal.base}},
            **_texts(proposal),
        }
        try:
            made = await self._api.post(f"{self._repository}/pullrequests", wanted)
        except (Conflict, Invalid) as refused:
            return await adopted(self, proposal, refused)
        # only now it tells who makes it, and who that is can't be a reviewer
        return await self.update(made["id"], proposal) if proposal.reviewers else await self._pull_request(made)

    async def update(self, number: int, proposal: Proposal) -> PullRequest:
        wanted: dict[str, Any] = _texts(proposal)
        pull = await self._api.get(self._pull(number))
        # the list replaces the one that is there, also where it is left out
        there = [{"uuid": user["uuid"]} for user in pull["reviewers"]]
        asked = await self._reviewers(proposal.reviewers, author=pull["author"]["uuid"])
        wanted["reviewers"] = [*there, *(user for user in asked if user not in there)]
        return await self._pull_request(await self._api.put(self._pull(number), wanted))

    async def close(self, number: int, reason: str) -> None:
        if _PULL_STATE.get((await self._api.get(self._pull(number)))["state"]) != "open":
            return
        await self._api.post(f"{self._pull(number)}/decline", None)
        if reason:
            await self._api.post(f"{self._pull(number)}/comments", {"content": {"raw": reason}})

    async def of_commit(self, commit: str) -> PullRequest | None:
        found: list[Any] = []
        try:
            answer = await self._api.get(f"{self._repository}/commit/{commit}/pullrequests", {"pagelen": PAGE})
            found = [await self._api.get(self._pull(item["id"])) for item in answer["values"]]
        except NotFound:
            # no such commit, or nobody ever asked for one of the repository: then they are not indexed
            pass
        merged = [pull for pull in found if pull["state"] == "MERGED"]
        if not merged:
            merged = [pull async for pull in self._merged() if _is(commit, pull["merge_commit"])][:1]
        exact = (pull for pull in merged if _is(commit, pull["merge_commit"]))
        chosen = next(exact, merged[0] if merged else None)
        return await self._pull_request(chosen) if chosen else None

    async def statuses(self, commit: str) -> list[CommitStatus]:
        path = f"{self._repository}/commit/{commit}/statuses"
        return [
            CommitStatus(item["name"] or item["key"], _state(item), item.get("description") or "", item["url"])
            async for item in self._items(path, {"pagelen": PAGE})
        ]

    async def set_status(self, commit: str, status: CommitStatus) -> None:
        wanted = {
            "key": _key(status.context),
            "name": status.context,
            "state": _TO_STATE[status.state],
            "description": wording.title(status.description, DESCRIPTION),
            # it takes none without
            "url": status.url or f"https://bitbucket.org/{self._full_name}/commits/{commit}",
        }
        path = f"{self._repository}/commit/{commit}/statuses/build"
        await self._api.post(path, wanted, repeatable=True)

    def _pull(self, number: int) -> str:
        return f"{self._repository}/pullrequests/{number}"

    def _pulls(self, criteria: str) -> AsyncIterator[Any]:
        query: dict[str, str | int] = {"q": criteria, "sort": "-created_on", "pagelen": PAGE}
        return self._items(f"{self._repository}/pullrequests", query)

    async def _merged(self) -> AsyncIterator[Any]:
        looked = 0
        async for pull in self._pulls('state = "MERGED"'):
            yield pull
            looked += 1
            if looked == LOOKED_THROUGH:
                return

    async def _items(self, path: str, query: dict[str, str | int]) -> AsyncIterator[Any]:
        async for page in self._api.pages(path, query, following=lambda answer: answer.body.get("next")):
            for item in page["values"]:
                yield item

    async def _reviewers(self, names: tuple[str, ...], author: str = "") -> list[dict[str, str]]:
        """Reviewers go by UUID; who is not one is looked for among the members of the workspace."""
        uuids = {name: name for name in names if name.startswith("{")}
        if len(uuids) < len(names):
            path = f"workspaces/{self._workspace}/members"
            async for item in self._items(path, {"pagelen": 100}):
                user = item["user"]
                for key in ("nickname", "display_name", "account_id"):
                    if user.get(key) in names:
                        uuids.setdefault(user[key], user["uuid"])
        for name in names:
            if name not in uuids:
                hint = "check `gitops.reviewers` in loop.yaml; a UUID in braces is taken as well"
                raise ForgeError(f"the workspace has no member {name!r}", hint=hint)
        return [{"uuid": uuids[name]} for name in names if uuids[name] != author]

    async def _pull_request(self, data: Any) -> PullRequest:
        state = _PULL_STATE.get(data["state"], "closed")
        return PullRequest(
            number=data["id"],
            url=data["links"]["html"]["href"],
            state=state,
            title=data["title"],
            body=data.get("description") or "",
            head=data["source"]["branch"]["name"],
            base=data["destination"]["branch"]["name"],
            head_commit=await self._full(data["source"].get("commit")),
            merge_commit=await self._full(data["merge_commit"]) if state == "merged" else "",
        )

    async def _full(self, commit: Any) -> str:
        """All 40 digits of a commit, of which pull requests only have 12; empty where it is gone."""
        short = str((commit or {}).get("hash", ""))
        if len(short) in (0, 40):
            return short
        try:
            return str((await self._api.get(f"{self._repository}/commit/{short}"))["hash"])
        except NotFound:
            return ""


def _is(commit: str, short: Any) -> bool:
    return bool(short) and commit.startswith(short["hash"])


def _state(item: Any) -> CommitState:
    return _FROM_STATE.get(item["state"], "error")


def _key(context: str) -> str:
    if len(context) <= KEY:
        return context
    return f"{context[: KEY - 13]}-{hashlib.sha256(context.encode()).hexdigest()[:12]}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _texts(proposal: Proposal) -> dict[str, Any]:
    return {
        "title": wording.title(proposal.title, TITLE),
        "description": wording.body(proposal.body, BODY, "Bitbucket"),
    }
