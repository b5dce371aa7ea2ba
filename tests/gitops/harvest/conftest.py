"""A project that is deployed on the real cluster, and changed there as people do it: with kubectl."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from innerloop import plugins
from innerloop.config import loading
from innerloop.config.loading import Options
from innerloop.deploy.applying import apply
from innerloop.gitops.harvest.attributing import Attributed
from innerloop.gitops.harvest.harvesting import Harvest, harvest
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.manifest import Manifest, ObjectKey
from innerloop.project import Project
from innerloop.render.rendering import render

WEB = """\
# the front end
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1   # one is enough
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: web
          image: busybox:1.36
          command: [sleep, "1000"]
          env:
            - {name: TITLE, value: "Cats"}   # shown on top
          resources:
            requests: {cpu: 10m}
          readinessProbe:
            exec: {command: ["true"]}
            periodSeconds: 5
"""


def container(**fields: object) -> tuple[str, ...]:
    """The arguments of kubectl that patch the container."""
    spec = {"containers": [{"name": "web", **fields}]}
    return ("patch", "deployment/web", "-p", json.dumps({"spec": {"template": {"spec": spec}}}))


class Deployed:
    """The project in its folder and namespace."""

    def __init__(self, client: Client, kubeconfig: Path, namespace: str, folder: Path) -> None:
        self.client = client
        self.kubeconfig = kubeconfig
        self.namespace = namespace
        self.folder = folder
        self.options = Options(fallback_namespace=namespace)

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    @property
    def project(self) -> Project:
        return loading.load(self.folder / "loop.yaml", self.options)

    async def rendered(self) -> list[Manifest]:
        project = self.project
        manifests = await render(project, namespace=self.namespace, plugins=plugins.load(project))
        return await plugins.load(project).after_render(manifests, project)

    async def deploy(self, change: Callable[[list[Manifest]], list[Manifest]] = list) -> None:
        await apply(
            self.client,
            change(await self.rendered()),
            project=self.project.name,
            namespace=self.namespace,
            emit=lambda event: None,
            folder=self.folder,
        )

    async def kubectl(self, *arguments: str) -> None:
        argv = ["kubectl", "--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace, *arguments]
        process = await asyncio.create_subprocess_exec(*argv, stdout=-1, stderr=asyncio.subprocess.STDOUT)
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()

    async def harvest(self) -> Harvest:
        project = self.project
        return await harvest(self.client, project, self.options, plugins.load(project), lambda event: None)

    async def only(self) -> Attributed:
        """The one change that there is."""
        found = await self.harvest()
        (only,) = found.attributed
        return only

    async def apply_patch(self, found: Harvest) -> None:
        assert found.patch, found.attributed
        await self.git("apply", "--whitespace=nowarn", "-", input=found.patch.encode())

    async def git(self, *arguments: str, input: bytes = b"") -> str:
        argv = ["git", "-C", str(self.folder), "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
        process = await asyncio.create_subprocess_exec(*argv, stdin=-1, stdout=-1, stderr=asyncio.subprocess.STDOUT)
        output, _ = await process.communicate(input)
        assert process.returncode == 0, output.decode()
        return output.decode()

    async def live(self, kind: str, name: str, api_version: str = "apps/v1") -> dict[str, Any]:
        return await objects.get(self.client, ObjectKey(api_version, kind, self.namespace, name))

    def has_replicas(self, name: str, count: int) -> Callable[[], Awaitable[bool]]:
        async def ask() -> bool:
            return bool((await self.live("Deployment", name))["spec"]["replicas"] == count)

        return ask

    async def assert_renders_what_is_live(self) -> None:
        """Applying the rendering by force would change nothing, and there is nothing more to harvest."""
        assert (await self.harvest()).attributed == ()
        for manifest in await self.rendered():
            key = manifest.key._replace(namespace=self.namespace)
            object = {**manifest.object, "metadata": {**manifest.metadata, "namespace": self.namespace}}
            live = await objects.get(self.client, key)
            applied = await objects.apply(self.client, object, force=True, dry_run=True)
            assert {name: applied.get(name) for name in ("spec", "data")} == {
                name: live.get(name) for name in ("spec", "data")
            }


@pytest.fixture
def shop(client: Client, kubeconfig: Path, namespace: str, tmp_path: Path, tools: None) -> Deployed:
    """A project of one plain manifest, not deployed yet."""
    found = Deployed(client, kubeconfig, namespace, tmp_path / "shop")
    found.write("loop.yaml", "name: shop\nmanifests:\n  - files: deploy/*.yaml\n")
    found.write("deploy/web.yaml", WEB)
    return found
