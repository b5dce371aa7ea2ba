"""A namespace that a real agent keeps, and a developer's changes there; that agent as an Application of Argo CD."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import yaml

from innerloop.events import Event
from innerloop.gitops.agents.ladder import Step
from innerloop.gitops.agents.making import wanted
from innerloop.gitops.agents.truce import Truce, new_session
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.watching import watch
from innerloop.manifest import ObjectKey
from tests.deploy.deployment import unique
from tests.gitops.agents.argocd import ArgoCD, Repository, source

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: web
          image: busybox:1.36
          command: [sleep, "1000"]
          env: [{name: TITLE, value: git}]
"""
SETTINGS = "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {title: git, other: git}}\n"
FILES: dict[str, str | None] = {"vote/web.yaml": WEB, "vote/settings.yaml": SETTINGS}


class Kept:
    """A namespace that an agent keeps as a repository says, and a developer's changes there."""

    def __init__(self, client: Client, repository: Repository, namespace: str) -> None:
        self.client = client
        self.repository = repository
        self.namespace = namespace
        self.name = unique("vote")
        self.events: list[Event] = []

    @property
    def web(self) -> ObjectKey:
        return ObjectKey("apps/v1", "Deployment", self.namespace, "web")

    @property
    def settings(self) -> ObjectKey:
        return ObjectKey("v1", "ConfigMap", self.namespace, "settings")

    async def develop(self) -> None:
        """Apply both objects as a dev session would: other values, and what git does not have."""
        web = yaml.safe_load(WEB)
        web["spec"]["template"]["spec"]["containers"][0] |= {
            "command": ["sleep", "2000"],
            "env": [{"name": "TITLE", "value": "dev"}],
            "workingDir": "/tmp",
        }
        web["spec"]["template"]["metadata"]["annotations"] = {"innerloop.dev/target": "web=web"}
        settings = {**yaml.safe_load(SETTINGS), "data": {"title": "dev", "extra": "dev"}}
        for object in (settings, web):
            object["metadata"]["namespace"] = self.namespace
            await objects.apply(self.client, object, force=True)

    async def is_developed(self) -> bool:
        web, settings = await objects.get(self.client, self.web), await objects.get(self.client, self.settings)
        container = web["spec"]["template"]["spec"]["containers"][0]
        return bool(
            container["command"] == ["sleep", "2000"]
            and container["env"] == [{"name": "TITLE", "value": "dev"}]
            and container.get("workingDir") == "/tmp"
            and settings["data"]["title"] == "dev"
            and settings["data"].get("extra") == "dev"
        )

    async def is_as_in_git(self) -> bool:
        web, settings = await objects.get(self.client, self.web), await objects.get(self.client, self.settings)
        (container,) = web["spec"]["template"]["spec"]["containers"]
        return bool(
            container["command"] == ["sleep", "1000"]
            and container["env"] == [{"name": "TITLE", "value": "git"}]
            and "workingDir" not in container
            and "volumes" not in web["spec"]["template"]["spec"]
            and "annotations" not in web["spec"]["template"]["metadata"]
            and settings["data"] == {"title": "git", "other": "git"}
        )

    def truce(
        self, *namespaces: str, minutes: int = 10, process: str | None = None, client: Client | None = None
    ) -> Truce:
        """Of a session that lives as long as the test, or in another process; ``client``: of somebody else."""
        session = new_session("loop dev of vote", Path("/src/vote"), lasts=timedelta(minutes=minutes))
        if process is not None:
            session = msgspec.structs.replace(session, process=process)
        return Truce(client or self.client, session, namespaces or (self.namespace,), self.events.append)

    async def steps(self) -> tuple[Step, ...]:
        return (await wanted(self.client, [self.web, self.settings])).steps


class Vote(Kept):
    """Kept by an Application."""

    def __init__(self, argo: ArgoCD, repository: Repository, namespace: str) -> None:
        super().__init__(argo.client, repository, namespace)
        self.argo = argo

    async def start(self, **policy: Any) -> None:
        """The Application, synced to its first commit."""
        commit = self.repository.commit(FILES)
        await self.argo.create(self.name, source(self.repository, "vote", self.namespace, **policy))
        await self.argo.synced(self.name, commit)

    async def spec(self) -> bytes:
        return text((await self.argo.get(self.name))["spec"])


def text(value: Any) -> bytes:
    """For comparing byte for byte."""
    return msgspec.json.encode(value, order="sorted")


@contextlib.asynccontextmanager
async def watched(client: Client, key: ObjectKey) -> AsyncIterator[list[dict[str, Any]]]:
    """Every state of an object while the body runs."""
    states: list[dict[str, Any]] = []

    async def follow() -> None:
        events = watch(client, key.api_version, key.kind, namespace=key.namespace, name=key.name)
        async with aclosing(events):
            async for type, object in events:
                if type != "SYNCED":
                    states.append({"type": type, **object})

    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow(), name="watch")
        yield states
        task.cancel()
