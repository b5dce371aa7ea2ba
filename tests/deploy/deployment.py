"""A project in a namespace of the real cluster, as the tests deploy it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import yaml

from innerloop.deploy.applying import Applied, apply
from innerloop.deploy.purging import Purged, purge
from innerloop.deploy.readiness import wait_ready
from innerloop.events import Event, StepFailed, StepProgress
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import NotFound
from innerloop.manifest import Manifest, ObjectKey


def manifests(text: str) -> list[Manifest]:
    """Manifests of a YAML stream, each with a source of its own."""
    return [Manifest(one, f"{n}.yaml") for n, one in enumerate(yaml.safe_load_all(text), 1)]


def config_map(name: str, value: str = "1") -> str:
    return f"---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}, data: {{key: '{value}'}}}}\n"


def deployment(name: str, container: str, *, spec: str = "", pod: str = "") -> str:
    """A Deployment of one container, given as YAML in flow style without its braces."""
    return f"""---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: app, {container}}}]{", " + pod if pod else ""}}}
  {spec}
"""


SLEEP = "image: 'busybox:1.36', command: [sleep, '1000']"


class Deployment:
    """Applies, awaits and purges one project; remembers the events."""

    def __init__(self, client: Client, namespace: str, folder: Path, project: str = "shop") -> None:
        self.client = client
        self.namespace = namespace
        self.folder = folder
        self.project = project
        self.events: list[Event] = []

    async def apply(self, text: str, **options: Any) -> Applied:
        return await apply(
            options.pop("client", self.client),
            manifests(text),
            project=self.project,
            namespace=self.namespace,
            folder=self.folder,
            emit=self.events.append,
            **options,
        )

    async def purge(self, **options: Any) -> Purged:
        return await purge(
            options.pop("client", self.client),
            project=self.project,
            namespace=self.namespace,
            folder=self.folder,
            emit=self.events.append,
            **options,
        )

    async def run(self, text: str, timeout: float = 20.0) -> None:
        """Apply and wait until ready."""
        applied = await self.apply(text)
        await wait_ready(self.client, applied.keys, emit=self.events.append, timeout=timeout)

    def key(self, kind: str, name: str, api_version: str = "v1") -> ObjectKey:
        return ObjectKey(api_version, kind, self.namespace, name)

    async def get(self, kind: str, name: str, api_version: str = "v1") -> dict[str, Any]:
        return await objects.get(self.client, self.key(kind, name, api_version))

    async def exists(self, key: ObjectKey) -> bool:
        try:
            found = await objects.get(self.client, key)
        except NotFound:
            return False
        return "deletionTimestamp" not in found["metadata"]

    @property
    def progress(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, StepProgress)]

    @property
    def failures(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, StepFailed)]


def unique(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(3)}"
