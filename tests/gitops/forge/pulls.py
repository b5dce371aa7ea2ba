"""Pull requests as GitHub's API has them, and Gitea's after it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from tests.gitops.forge.repository import Pull, Repository, Status
from tests.gitops.forge.server import Forge


class Pulls(ABC):
    forge: Forge
    prefix: str
    """Of paths."""
    page_size: str
    """The parameter for it."""
    changed_status = 200

    def __init__(self, repository: Repository) -> None:
        self.repository = repository

    def routes(self) -> Sequence[web.RouteDef]:
        repository = f"{self.prefix}/repos/{{owner}}/{{name}}"
        return [
            web.get(f"{repository}/pulls", self.listed),
            web.post(f"{repository}/pulls", self.created),
            web.get(f"{repository}/pulls/{{number}}", self.shown),
            web.patch(f"{repository}/pulls/{{number}}", self.changed),
            web.get(f"{repository}/pulls/{{number}}/reviews", self.reviews),
            web.post(f"{repository}/pulls/{{number}}/requested_reviewers", self.asked),
            web.post(f"{repository}/issues/{{number}}/labels", self.labelled),
            web.post(f"{repository}/issues/{{number}}/comments", self.commented),
            web.get(f"{repository}/commits/{{commit}}/status", self.status),
            web.post(f"{repository}/statuses/{{commit}}", self.status_set),
        ]

    def _pull(self, request: web.Request) -> Pull:
        return self.repository.pull(int(request.match_info["number"]))

    @abstractmethod
    def _json(self, pull: Pull) -> dict[str, Any]: ...

    @abstractmethod
    def _status(self, status: Status) -> dict[str, Any]: ...

    @abstractmethod
    async def listed(self, request: web.Request) -> web.Response: ...

    async def created(self, request: web.Request) -> web.Response:
        body = await request.json()
        pull = self.repository.add(body["head"], body["base"], body["title"], body["body"])
        return web.json_response(self._json(pull), status=201)

    async def shown(self, request: web.Request) -> web.Response:
        return web.json_response(self._json(self._pull(request)))

    async def changed(self, request: web.Request) -> web.Response:
        pull, body = self._pull(request), await request.json()
        pull.title, pull.body = body.get("title", pull.title), body.get("body", pull.body)
        if body.get("state") == "closed":
            self.repository.close(pull)
        return web.json_response(self._json(pull), status=self.changed_status)

    @abstractmethod
    async def reviews(self, request: web.Request) -> web.Response: ...

    @abstractmethod
    async def asked(self, request: web.Request) -> web.Response: ...

    @abstractmethod
    async def labelled(self, request: web.Request) -> web.Response: ...

    async def commented(self, request: web.Request) -> web.Response:
        self._pull(request).comments.append((await request.json())["body"])
        return web.json_response({"id": 1}, status=201)

    async def status(self, request: web.Request) -> web.Response:
        statuses = [self._status(status) for status in self.repository.latest(request.match_info["commit"])]
        page, links = self.forge.page(request, statuses, self.page_size)
        return web.json_response(self._combined(page, len(statuses)), headers=links)

    @abstractmethod
    def _combined(self, page: Sequence[Any], total: int) -> dict[str, Any]: ...

    async def status_set(self, request: web.Request) -> web.Response:
        body = await request.json()
        told = (body["context"], body["state"], body["description"], body.get("target_url", ""))
        made = self.repository.set_status(request.match_info["commit"], *told)
        return web.json_response(self._status(made), status=201)
