"""GitLab's REST API v4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from tests.gitops.forge.repository import AlreadyThere, Pull, Refused, Repository, Status
from tests.gitops.forge.server import TOKEN, Forge

_PROJECT = "/api/v4/projects/{project}"
_STATES = {"open": "opened", "merged": "merged", "closed": "closed"}


class GitLab:
    forge: Forge

    def __init__(self, repository: Repository) -> None:
        self.repository = repository

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.get(f"{_PROJECT}/merge_requests", self.listed),
            web.post(f"{_PROJECT}/merge_requests", self.created),
            web.get(f"{_PROJECT}/merge_requests/{{number}}", self.shown),
            web.put(f"{_PROJECT}/merge_requests/{{number}}", self.changed),
            web.post(f"{_PROJECT}/merge_requests/{{number}}/notes", self.commented),
            web.get(f"{_PROJECT}/repository/commits/{{commit}}/merge_requests", self.of_commit),
            web.get(f"{_PROJECT}/repository/commits/{{commit}}/statuses", self.statuses),
            web.post(f"{_PROJECT}/statuses/{{commit}}", self.status_set),
            web.get("/api/v4/users", self.users),
        ]

    def logged_in(self, request: web.Request) -> bool:
        project = request.match_info.get("project", self.repository.path)
        return request.headers.get("Authorization") == f"Bearer {TOKEN}" and project == self.repository.path

    def expired(self) -> web.Response:
        body = {"error": "invalid_token", "error_description": "Token is expired. You can either do re-authorization."}
        return web.json_response(body, status=401)

    def missing_scope(self) -> web.Response:
        words = "The request requires higher privileges than provided by the access token."
        body = {"error": "insufficient_scope", "error_description": words, "scope": "api"}
        return web.json_response(body, status=403)

    def refusal(self, error: Refused) -> web.Response:
        if isinstance(error, AlreadyThere):
            words = f"Another open merge request already exists for this source branch: {error}"
            return web.json_response({"message": [words]}, status=409)
        return web.json_response({"message": str(error)}, status=400)

    def _pull(self, request: web.Request) -> Pull:
        return self.repository.pull(int(request.match_info["number"]))

    def _json(self, pull: Pull) -> dict[str, Any]:
        return {
            "id": 1000 + pull.number,
            "iid": pull.number,
            "web_url": f"{self.forge.url}/{self.repository.path}/-/merge_requests/{pull.number}",
            "state": _STATES[pull.state],
            "title": pull.title,
            "description": pull.body or None,
            "source_branch": pull.head,
            "target_branch": pull.base,
            "source_project_id": 8 if pull.from_fork else 7,
            "target_project_id": 7,
            "labels": pull.labels,
            "author": {"id": self.repository.users.index(pull.author), "username": pull.author},
            "reviewers": [{"id": self.repository.users.index(name), "username": name} for name in pull.reviewers],
            "sha": self.repository.head_commit(pull),
            "merge_commit_sha": None,
            "squash_commit_sha": pull.merge_commit or None,
        }

    async def listed(self, request: web.Request) -> web.Response:
        query = request.query
        found = [
            self._json(pull)
            for pull in self.repository.newest()
            if query.get("source_branch", pull.head) == pull.head
            and query.get("target_branch", pull.base) == pull.base
            and query.get("state", "all") in (_STATES[pull.state], "all")
        ]
        page, links = self.forge.page(request, found, "per_page")
        return web.json_response(page, headers=links)

    async def created(self, request: web.Request) -> web.Response:
        body = await request.json()
        pull = self.repository.add(body["source_branch"], body["target_branch"], body["title"], body["description"])
        pull.labels = [name for name in body["labels"].split(",") if name]
        pull.reviewers = [self.repository.users[number] for number in body["reviewer_ids"]]
        return web.json_response(self._json(pull), status=201)

    async def shown(self, request: web.Request) -> web.Response:
        return web.json_response(self._json(self._pull(request)))

    async def changed(self, request: web.Request) -> web.Response:
        pull, body = self._pull(request), await request.json()
        pull.title, pull.body = body.get("title", pull.title), body.get("description", pull.body)
        pull.labels += [name for name in body.get("add_labels", "").split(",") if name and name not in pull.labels]
        if "reviewer_ids" in body:
            pull.reviewers = [self.repository.users[number] for number in body["reviewer_ids"]]
        if body.get("state_event") == "close":
            self.repository.close(pull)
        return web.json_response(self._json(pull))

    async def commented(self, request: web.Request) -> web.Response:
        self._pull(request).comments.append((await request.json())["body"])
        return web.json_response({"id": 1}, status=201)

    async def of_commit(self, request: web.Request) -> web.Response:
        pulls = self.repository.of_commit(request.match_info["commit"])
        if not pulls:
            return web.json_response({"message": "404 Commit Not Found"}, status=404)
        return web.json_response([self._json(pull) for pull in pulls])

    async def statuses(self, request: web.Request) -> web.Response:
        statuses = [_status(status) for status in self.repository.latest(request.match_info["commit"])]
        page, links = self.forge.page(request, statuses, "per_page")
        return web.json_response(page, headers=links)

    async def status_set(self, request: web.Request) -> web.Response:
        body, commit = await request.json(), request.match_info["commit"]
        now = next((status.state for status in self.repository.latest(commit) if status.context == body["name"]), "")
        if now == body["state"]:
            raise Refused(f"Cannot transition status via :enqueue from :{now}")
        made = self.repository.set_status(
            commit, body["name"], body["state"], body["description"], body.get("target_url", "")
        )
        return web.json_response(_status(made), status=201)

    async def users(self, request: web.Request) -> web.Response:
        name = request.query["username"]
        found = [name] if name in self.repository.users else []
        return web.json_response([{"id": self.repository.users.index(name), "username": name} for name in found])


def _status(status: Status) -> dict[str, Any]:
    return {
        "id": status.number,
        "name": status.context,
        "status": status.state,
        "description": status.description or None,
        "target_url": status.url or None,
    }
