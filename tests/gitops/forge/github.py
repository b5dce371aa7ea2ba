"""GitHub's REST API, as on Enterprise Server (``/api/v3``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from tests.gitops.forge.pulls import Pulls
from tests.gitops.forge.repository import AlreadyThere, Pull, Refused, Status
from tests.gitops.forge.server import TOKEN


class GitHub(Pulls):
    prefix = "/api/v3"
    page_size = "per_page"

    def routes(self) -> Sequence[web.RouteDef]:
        of_commit = web.get(f"{self.prefix}/repos/{{owner}}/{{name}}/commits/{{commit}}/pulls", self.of_commit)
        return [*super().routes(), of_commit]

    def logged_in(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {TOKEN}"

    def expired(self) -> web.Response:
        return web.json_response({"message": "Bad credentials"}, status=401)

    def missing_scope(self) -> web.Response:
        headers = {"X-OAuth-Scopes": "read:org, gist", "X-Accepted-OAuth-Scopes": "repo"}
        return web.json_response({"message": "Not Found"}, status=404, headers=headers)

    def refusal(self, error: Refused) -> web.Response:
        words = str(error)
        if isinstance(error, AlreadyThere):
            words = "A pull request already exists for acme:branch."
        wrong = {"resource": "PullRequest", "code": "custom", "message": words}
        return web.json_response({"message": "Validation Failed", "errors": [wrong]}, status=422)

    def _json(self, pull: Pull) -> dict[str, Any]:
        waiting = [name for name in pull.reviewers if name not in pull.reviewed]
        return {
            "number": pull.number,
            "html_url": f"{self.forge.url}/{self.repository.path}/pull/{pull.number}",
            "state": "open" if pull.state == "open" else "closed",
            "merged_at": "2026-11-25T10:00:00Z" if pull.state == "merged" else None,
            "title": pull.title,
            "body": pull.body or None,
            "user": _user(pull.author),
            "labels": [{"id": 1, "name": name, "color": "ededed", "default": False} for name in pull.labels],
            "requested_reviewers": [_user(name) for name in waiting],
            "requested_teams": [],
            "head": {"ref": pull.head, "sha": self.repository.head_commit(pull), "label": f"acme:{pull.head}"},
            "base": {"ref": pull.base, "sha": self.repository.head_of(pull.base)},
            # a trial merge until it is merged
            "merge_commit_sha": pull.merge_commit or "0" * 40,
        }

    async def listed(self, request: web.Request) -> web.Response:
        query = request.query
        owner, colon, head = query.get("head", "").partition(":")
        found = []
        for pull in self.repository.newest():
            state = "open" if pull.state == "open" else "closed"
            # a head without its owner is ignored; so is, with owner, what comes out of a fork
            if colon and (pull.head != head or pull.from_fork or owner != "acme"):
                continue
            if query.get("state", "open") in (state, "all") and query.get("base", pull.base) == pull.base:
                found.append(self._json(pull))
        page, links = self.forge.page(request, found, "per_page")
        return web.json_response(page, headers=links)

    async def reviews(self, request: web.Request) -> web.Response:
        reviews = [{"id": 1, "user": _user(name), "state": "COMMENTED"} for name in self._pull(request).reviewed]
        return web.json_response(reviews)

    async def asked(self, request: web.Request) -> web.Response:
        pull = self._pull(request)
        self.repository.ask(pull, (await request.json())["reviewers"])
        return web.json_response(self._json(pull), status=201)

    async def labelled(self, request: web.Request) -> web.Response:
        pull = self._pull(request)
        pull.labels += [name for name in (await request.json())["labels"] if name not in pull.labels]
        return web.json_response([{"id": 1, "name": name} for name in pull.labels])

    async def of_commit(self, request: web.Request) -> web.Response:
        pulls = self.repository.of_commit(request.match_info["commit"])
        if not pulls:
            return web.json_response({"message": "No commit found for SHA"}, status=422)
        return web.json_response([self._json(pull) for pull in pulls])

    def _combined(self, page: Sequence[Any], total: int) -> dict[str, Any]:
        return {"state": "pending", "statuses": page, "total_count": total}

    async def status_set(self, request: web.Request) -> web.Response:
        if len((await request.json())["description"]) > 140:
            raise Refused("description is too long (maximum is 140 characters)")
        return await super().status_set(request)

    def _status(self, status: Status) -> dict[str, Any]:
        return {
            "id": status.number,
            "context": status.context,
            "state": status.state,
            "description": status.description or None,
            "target_url": status.url or None,
        }


def _user(login: str) -> dict[str, Any]:
    return {"login": login, "id": 1, "type": "User", "site_admin": False}
