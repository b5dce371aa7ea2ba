"""The REST API of Azure DevOps Repos 7.1, as on a server (``/COLLECTION/PROJECT/_apis/git``)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from aiohttp import web

from tests.gitops.forge.repository import AlreadyThere, Pull, Refused, Repository, Status
from tests.gitops.forge.server import TOKEN, Forge

_REPOSITORY = "/acme/{project}/_apis/git/repositories/{name}"
_PULL = f"{_REPOSITORY}/pullrequests/{{number}}"
_STATES = {"open": "active", "merged": "completed", "closed": "abandoned"}
SIGN_IN = "<!DOCTYPE html><html><title>Azure DevOps Services | Sign In</title></html>"


class AzureDevOps:
    forge: Forge

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        repository.merges_late = True

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.get(f"{_REPOSITORY}/pullrequests", self.listed),
            web.post(f"{_REPOSITORY}/pullrequests", self.created),
            web.get(_PULL, self.shown),
            web.patch(_PULL, self.changed),
            web.get(f"{_PULL}/labels", self.labels),
            web.post(f"{_PULL}/labels", self.labelled),
            web.put(f"{_PULL}/reviewers/{{identity}}", self.asked),
            web.post(f"{_PULL}/threads", self.commented),
            web.post(f"{_REPOSITORY}/pullrequestquery", self.of_commit),
            web.get(f"{_REPOSITORY}/commits/{{commit}}/statuses", self.statuses),
            web.post(f"{_REPOSITORY}/commits/{{commit}}/statuses", self.status_set),
            web.get("/acme/_apis/identities", self.identities),
        ]

    def logged_in(self, request: web.Request) -> bool:
        assert request.query["api-version"] == "7.1"
        return request.headers.get("Authorization") == "Basic " + base64.b64encode(f":{TOKEN}".encode()).decode()

    def expired(self) -> web.Response:
        return web.Response(status=203, text=SIGN_IN, content_type="text/html")

    def missing_scope(self) -> web.Response:
        words = "TF401027: You need the Git 'PullRequestContribute' permission to perform this action."
        return web.json_response({"message": words, "typeKey": "GitNeedsPermissionException"}, status=403)

    def refusal(self, error: Refused) -> web.Response:
        if isinstance(error, AlreadyThere):
            words = "TF401179: An active pull request for the source and target branch already exists."
            return web.json_response({"message": words, "typeKey": "GitPullRequestExistsException"}, status=409)
        return web.json_response({"message": str(error)}, status=400)

    def _pull(self, request: web.Request) -> Pull:
        return self.repository.pull(int(request.match_info["number"]))

    def _json(self, pull: Pull, *, in_list: bool = False) -> dict[str, Any]:
        found: dict[str, Any] = {
            "pullRequestId": pull.number,
            "status": _STATES[pull.state],
            "mergeStatus": "succeeded",
            "title": pull.title,
            # lists cut it, and leave labels out
            "description": pull.body[:400] if in_list else pull.body,
            "sourceRefName": f"refs/heads/{pull.head}",
            "targetRefName": f"refs/heads/{pull.base}",
            "reviewers": [
                {"id": identity(name), "vote": 10 if name in pull.reviewed else 0} for name in pull.reviewers
            ],
            "lastMergeSourceCommit": {"commitId": self.repository.head_commit(pull)},
            # a trial merge until it is completed
            "lastMergeCommit": {"commitId": pull.merge_commit or "0" * 40},
        }
        if not pull.body:
            del found["description"]
        if not in_list:
            found["labels"] = [_label(name) for name in pull.labels]
        if pull.from_fork:
            found["forkSource"] = {"name": found["sourceRefName"]}
        # a completion that was asked for is carried out by and by
        self.repository.settle()
        return found

    async def listed(self, request: web.Request) -> web.Response:
        query = {key.removeprefix("searchCriteria."): value for key, value in request.query.items()}
        found = [
            self._json(pull, in_list=True)
            for pull in self.repository.newest()
            if query.get("status", "active") in (_STATES[pull.state], "all")
            and query["sourceRefName"] == f"refs/heads/{pull.head}"
            and query["targetRefName"] == f"refs/heads/{pull.base}"
        ]
        return _list(found)

    async def created(self, request: web.Request) -> web.Response:
        body = await request.json()
        _check(body)
        pull = self.repository.add(
            _branch(body["sourceRefName"]), _branch(body["targetRefName"]), body["title"], body["description"]
        )
        pull.labels = [label["name"] for label in body["labels"]]
        pull.reviewers = [self._name(reviewer["id"]) for reviewer in body["reviewers"]]
        return web.json_response(self._json(pull), status=201)

    async def shown(self, request: web.Request) -> web.Response:
        return web.json_response(self._json(self._pull(request)))

    async def changed(self, request: web.Request) -> web.Response:
        pull, body = self._pull(request), await request.json()
        _check(body)
        pull.title, pull.body = body.get("title", pull.title), body.get("description", pull.body)
        if body.get("status") == "abandoned":
            self.repository.close(pull)
        return web.json_response(self._json(pull))

    async def labels(self, request: web.Request) -> web.Response:
        return _list([_label(name) for name in self._pull(request).labels])

    async def labelled(self, request: web.Request) -> web.Response:
        pull, name = self._pull(request), (await request.json())["name"]
        pull.labels.append(name)
        return web.json_response(_label(name))

    async def asked(self, request: web.Request) -> web.Response:
        pull, name = self._pull(request), self._name(request.match_info["identity"])
        self.repository.ask(pull, [name])
        return web.json_response({"id": identity(name), "vote": 0})

    async def commented(self, request: web.Request) -> web.Response:
        body = await request.json()
        self._pull(request).comments += [comment["content"] for comment in body["comments"]]
        return web.json_response({"id": 1, "status": body["status"]})

    async def of_commit(self, request: web.Request) -> web.Response:
        results = []
        for query in (await request.json())["queries"]:
            [commit] = query["items"]
            found = [
                self._json(pull, in_list=True)
                for pull in self.repository.of_commit(commit)
                if query["type"] == "commit" or pull.merge_commit == commit
            ]
            results.append({commit: found} if found else {})
        return web.json_response({"results": results})

    async def statuses(self, request: web.Request) -> web.Response:
        assert request.query["latestOnly"] == "true"
        skip, top = int(request.query["skip"]), int(request.query["top"])
        found = self.repository.latest(request.match_info["commit"])[skip : skip + top]
        return _list([_status(status) for status in found])

    async def status_set(self, request: web.Request) -> web.Response:
        body, commit = await request.json(), request.match_info["commit"]
        context = f"{body['context']['genre']}/{body['context']['name']}"
        made = self.repository.set_status(
            commit, context, body["state"], body["description"], body.get("targetUrl", "")
        )
        return web.json_response(_status(made), status=201)

    async def identities(self, request: web.Request) -> web.Response:
        name = request.query["filterValue"]
        return _list([{"id": identity(name), "providerDisplayName": name}] if name in self.repository.users else [])

    def _name(self, of: str) -> str:
        return next(name for name in self.repository.users if identity(name) == of)


def identity(name: str) -> str:
    return str(uuid5(NAMESPACE_DNS, name))


def _check(body: Any) -> None:
    if len(body.get("description", "")) > 4000:
        raise Refused("The description cannot exceed 4000 characters.")


def _branch(name: str) -> str:
    if not name.startswith("refs/heads/"):
        raise Refused("TF401181: the reference name is no full one")
    return name.removeprefix("refs/heads/")


def _label(name: str) -> dict[str, Any]:
    return {"id": identity(name), "name": name, "active": True}


def _list(items: list[dict[str, Any]]) -> web.Response:
    return web.json_response({"value": items, "count": len(items)})


def _status(status: Status) -> dict[str, Any]:
    genre, _, name = status.context.rpartition("/")
    return {
        "id": status.number,
        "state": status.state,
        "description": status.description,
        "targetUrl": status.url,
        "context": {"name": name, "genre": genre},
    }
