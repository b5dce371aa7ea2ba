"""The API of Gitea and Forgejo, v1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from tests.gitops.forge.pulls import Pulls
from tests.gitops.forge.repository import AlreadyThere, Pull, Refused, Repository, Status
from tests.gitops.forge.server import TOKEN


class Gitea(Pulls):
    prefix = "/api/v1"
    page_size = "limit"
    changed_status = 201

    def __init__(self, repository: Repository) -> None:
        super().__init__(repository)
        self.organization_labels = ["team/shop"]

    def routes(self) -> Sequence[web.RouteDef]:
        repository = f"{self.prefix}/repos/{{owner}}/{{name}}"
        return [
            *super().routes(),
            web.get(f"{repository}/labels", self.labels),
            web.post(f"{repository}/labels", self.label_made),
            web.get(f"{self.prefix}/orgs/{{owner}}/labels", self.labels_of_organization),
            web.get(f"{repository}/commits/{{commit}}/pull", self.of_commit),
        ]

    def logged_in(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"token {TOKEN}"

    def expired(self) -> web.Response:
        return web.json_response({"message": "user does not exist [uid: 0, name: ]"}, status=401)

    def missing_scope(self) -> web.Response:
        words = (
            "token does not have at least one of required scope(s), required=[write:issue], token scope=read:repository"
        )
        return web.json_response({"message": words}, status=403)

    def refusal(self, error: Refused) -> web.Response:
        status = 409 if isinstance(error, AlreadyThere) else 422
        return web.json_response({"message": f"pull request: {error}"}, status=status)

    def _all_labels(self) -> list[str]:
        return [*self.organization_labels, *self.repository.labels]

    def _label(self, name: str) -> dict[str, Any]:
        return {"id": 100 + self._all_labels().index(name), "name": name, "color": "1d76db"}

    def _json(self, pull: Pull) -> dict[str, Any]:
        commit = self.repository.head_commit(pull)
        # the head branch of an ended one is gone
        ref = pull.head if pull.state == "open" else f"refs/pull/{pull.number}/head"
        return {
            "number": pull.number,
            "html_url": f"{self.forge.url}/{self.repository.path}/pulls/{pull.number}",
            "state": "open" if pull.state == "open" else "closed",
            "merged": pull.state == "merged",
            "title": pull.title,
            "body": pull.body,
            "user": {"login": pull.author},
            "labels": [self._label(name) for name in pull.labels],
            "head": {"label": pull.head, "ref": ref, "sha": commit, "repo_id": 8 if pull.from_fork else 7},
            "base": {"label": pull.base, "ref": pull.base, "sha": "", "repo_id": 7},
            "merge_commit_sha": pull.merge_commit or None,
        }

    async def listed(self, request: web.Request) -> web.Response:
        wanted = request.query.get("state", "open")
        found = [
            self._json(pull)
            for pull in self.repository.newest()
            if wanted in ("open" if pull.state == "open" else "closed", "all")
        ]
        page, links = self.forge.page(request, found, "limit")
        return web.json_response(page, headers=links)

    async def reviews(self, request: web.Request) -> web.Response:
        pull = self._pull(request)
        states = {name: "COMMENT" if name in pull.reviewed else "REQUEST_REVIEW" for name in pull.reviewers}
        return web.json_response([{"id": 1, "user": {"login": name}, "state": states[name]} for name in states])

    async def asked(self, request: web.Request) -> web.Response:
        self.repository.ask(self._pull(request), (await request.json())["reviewers"])
        return web.json_response([], status=201)

    async def labels(self, request: web.Request) -> web.Response:
        page, links = self.forge.page(request, [self._label(name) for name in self.repository.labels], "limit")
        return web.json_response(page, headers=links)

    async def labels_of_organization(self, request: web.Request) -> web.Response:
        return web.json_response([self._label(name) for name in self.organization_labels])

    async def label_made(self, request: web.Request) -> web.Response:
        name = (await request.json())["name"]
        self.repository.labels.append(name)
        return web.json_response(self._label(name), status=201)

    async def labelled(self, request: web.Request) -> web.Response:
        pull, names = self._pull(request), {self._label(name)["id"]: name for name in self._all_labels()}
        numbers = (await request.json())["labels"]
        if not all(number in names for number in numbers):
            raise Refused("label does not exist")
        pull.labels += [names[number] for number in numbers if names[number] not in pull.labels]
        return web.json_response([self._label(name) for name in pull.labels])

    async def of_commit(self, request: web.Request) -> web.Response:
        commit = request.match_info["commit"]
        found = [pull for pull in self.repository.pulls if pull.merge_commit == commit]
        if not found:
            return web.json_response({"message": "The target couldn't be found."}, status=404)
        return web.json_response(self._json(found[0]))

    def _combined(self, page: Sequence[Any], total: int) -> dict[str, Any]:
        return {"state": "pending", "statuses": page or None}

    def _status(self, status: Status) -> dict[str, Any]:
        # written as `state`, read as `status`
        return {
            "id": status.number,
            "context": status.context,
            "status": status.state,
            "description": status.description,
            "target_url": status.url,
        }
