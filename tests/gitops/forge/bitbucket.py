"""The API 2.0 of Bitbucket Cloud."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from aiohttp import web

from tests.gitops.forge.repository import AlreadyThere, Pull, Refused, Repository, Status
from tests.gitops.forge.server import TOKEN, Forge

_REPOSITORY = "/2.0/repositories/{workspace}/{name}"
_STATES = {"open": "OPEN", "merged": "MERGED", "closed": "DECLINED"}
_CLAUSE = re.compile(r'(?P<field>[a-z.]+) = "(?P<value>(?:[^"\\]|\\.)*)"')


class Bitbucket:
    forge: Forge

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.indexed = False
        """Whether commits are joined with pull requests: only after someone has asked for it in the web interface."""

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.get(f"{_REPOSITORY}/pullrequests", self.listed),
            web.post(f"{_REPOSITORY}/pullrequests", self.created),
            web.get(f"{_REPOSITORY}/pullrequests/{{number}}", self.shown),
            web.put(f"{_REPOSITORY}/pullrequests/{{number}}", self.changed),
            web.post(f"{_REPOSITORY}/pullrequests/{{number}}/decline", self.declined),
            web.post(f"{_REPOSITORY}/pullrequests/{{number}}/comments", self.commented),
            web.get(f"{_REPOSITORY}/commit/{{commit}}", self.commit),
            web.get(f"{_REPOSITORY}/commit/{{commit}}/pullrequests", self.of_commit),
            web.get(f"{_REPOSITORY}/commit/{{commit}}/statuses", self.statuses),
            web.post(f"{_REPOSITORY}/commit/{{commit}}/statuses/build", self.status_set),
            web.get("/2.0/workspaces/{workspace}/members", self.members),
        ]

    def logged_in(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {TOKEN}"

    def expired(self) -> web.Response:
        return _error(401, "Token is invalid, expired, or not supported for this endpoint.")

    def missing_scope(self) -> web.Response:
        scopes = {"required": ["pullrequest:write"], "granted": ["repository"]}
        return _error(403, "Your credentials lack one or more required privilege scopes.", scopes)

    def refusal(self, error: Refused) -> web.Response:
        return _error(409 if isinstance(error, AlreadyThere) else 400, str(error))

    def _pull(self, request: web.Request) -> Pull:
        return self.repository.pull(int(request.match_info["number"]))

    def _json(self, pull: Pull) -> dict[str, Any]:
        url = f"{self.forge.url}/{self.repository.path}/pull-requests/{pull.number}"
        full_name = "somebody/vote" if pull.from_fork else self.repository.path
        # commits come with 12 digits
        return {
            "type": "pullrequest",
            "id": pull.number,
            "links": {"html": {"href": url}},
            "state": _STATES[pull.state],
            "title": pull.title,
            "description": pull.body,
            "author": _user(pull.author),
            "reviewers": [_user(name) for name in pull.reviewers],
            "source": {
                "branch": {"name": pull.head},
                "commit": {"hash": self.repository.head_commit(pull)[:12]},
                "repository": {"type": "repository", "full_name": full_name},
            },
            "destination": {"branch": {"name": pull.base}},
            "merge_commit": {"hash": pull.merge_commit[:12]} if pull.merge_commit else None,
        }

    def _page(self, request: web.Request, items: list[dict[str, Any]]) -> web.Response:
        page, links = self.forge.page(request, items, "pagelen")
        body: dict[str, Any] = {"values": page, "pagelen": len(page)}
        if links:
            # no Link header here
            body["next"] = re.findall(r"<([^>]*)>", links["Link"])[-1]
        return web.json_response(body)

    async def listed(self, request: web.Request) -> web.Response:
        assert request.query["sort"] == "-created_on"
        wanted: dict[str, set[str]] = {}
        for match in _CLAUSE.finditer(request.query["q"]):
            wanted.setdefault(match["field"], set()).add(re.sub(r"\\(.)", r"\1", match["value"]))
        found = []
        for pull in self.repository.newest():
            has = {"source.branch.name": pull.head, "destination.branch.name": pull.base, "state": _STATES[pull.state]}
            if all(has[field] in values for field, values in wanted.items()):
                found.append(self._json(pull))
        return self._page(request, found)

    async def created(self, request: web.Request) -> web.Response:
        body = await request.json()
        head, base = body["source"]["branch"]["name"], body["destination"]["branch"]["name"]
        return web.json_response(
            self._json(self.repository.add(head, base, body["title"], body["description"])), status=201
        )

    async def shown(self, request: web.Request) -> web.Response:
        return web.json_response(self._json(self._pull(request)))

    async def changed(self, request: web.Request) -> web.Response:
        pull, body = self._pull(request), await request.json()
        names = [name for name in self.repository.users if {"uuid": uuid(name)} in body["reviewers"]]
        if pull.author in names:
            raise Refused(f"{pull.author} is the author and cannot be included as a reviewer.")
        pull.title, pull.body, pull.reviewers = body["title"], body["description"], names
        return web.json_response(self._json(pull))

    async def declined(self, request: web.Request) -> web.Response:
        self.repository.close(self._pull(request))
        return web.json_response(self._json(self._pull(request)))

    async def commented(self, request: web.Request) -> web.Response:
        self._pull(request).comments.append((await request.json())["content"]["raw"])
        return web.json_response({"type": "pullrequest_comment", "id": 1}, status=201)

    async def commit(self, request: web.Request) -> web.Response:
        short = request.match_info["commit"]
        known = {commit for pull in self.repository.pulls for commit in self._commits(pull)}
        found = [commit for commit in known if commit.startswith(short)]
        return web.json_response({"type": "commit", "hash": found[0]}) if found else _error(404, "Commit not found")

    def _commits(self, pull: Pull) -> list[str]:
        return [self.repository.head_commit(pull), pull.merge_commit]

    async def of_commit(self, request: web.Request) -> web.Response:
        if not self.indexed:
            return _error(404, "Pull request commit links have not been indexed")
        pulls = self.repository.of_commit(request.match_info["commit"])
        return self._page(request, [{"type": "pullrequest", "id": pull.number} for pull in pulls])

    async def statuses(self, request: web.Request) -> web.Response:
        return self._page(request, [_status(status) for status in self.repository.latest(request.match_info["commit"])])

    async def status_set(self, request: web.Request) -> web.Response:
        body, commit = await request.json(), request.match_info["commit"]
        if not body.get("url"):
            raise Refused("url: required key not provided")
        if len(body["key"]) > 40:
            raise Refused("key: length of value must be at most 40")
        made = self.repository.set_status(commit, body["name"], body["state"], body["description"], body["url"])
        return web.json_response(_status(made), status=201)

    async def members(self, request: web.Request) -> web.Response:
        return self._page(
            request, [{"type": "workspace_membership", "user": _user(name)} for name in self.repository.users]
        )


def uuid(name: str) -> str:
    return f"{{{uuid5(NAMESPACE_DNS, name)}}}"


def _user(name: str) -> dict[str, Any]:
    return {"type": "user", "uuid": uuid(name), "nickname": name, "display_name": name.title()}


def _error(status: int, words: str, detail: Any = None) -> web.Response:
    error = {"message": words, **({"detail": detail} if detail else {})}
    return web.json_response({"type": "error", "error": error}, status=status)


def _status(status: Status) -> dict[str, Any]:
    return {
        "type": "build",
        "key": status.context[:40],
        "name": status.context,
        "state": status.state,
        "description": status.description,
        "url": status.url,
    }
