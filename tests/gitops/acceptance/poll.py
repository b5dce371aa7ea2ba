"""The project ``poll`` as its developer, its pipelines, its reviewers and its agents deal with it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import yaml

from innerloop.kube import objects
from innerloop.manifest import ObjectKey
from tests.e2e.loop_command import Ended, loop
from tests.gitops.acceptance.server import Hosted
from tests.gitops.agents.argocd import ArgoCD, source
from tests.gitops.forge.server import TOKEN
from tests.gitops.remote import git

PROJECT = Path(__file__).parent / "poll"
CLUSTER = "west"
"""Of all environments, as the GitOps repository calls it."""


class Clone:
    """A checkout of the project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def loop(self, *arguments: str) -> str:
        """What a command prints that has to succeed."""
        ended = await self.tried(*arguments)
        assert ended.code == 0, f"loop {' '.join(arguments)}:\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    async def tried(self, *arguments: str) -> Ended:
        return await loop(*arguments, cwd=self.folder)

    def write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def git(self, *arguments: str) -> str:
        return git(self.folder, *arguments)

    async def push(self, message: str) -> str:
        """Commit everything, as a merge to the project's main branch leaves it; returns the commit."""
        self.git("add", "--all")
        identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
        self.git(*identity, "commit", "--quiet", "--message", message)
        await _git("-C", str(self.folder), "push", "--quiet", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    async def retitle(self, title: str) -> str:
        """A commit that changes what ``dev`` shows."""
        self.write("env/dev.env", f"TITLE={title}\n")
        return await self.push(f"Ask for {title}")

    @property
    def changes(self) -> str:
        """What git tells of a checkout that is not clean."""
        return self.git("status", "--porcelain", "--untracked-files=all")


class Poll:
    """Everything outside the checkouts. Of its namespaces nothing exists before ``follow``."""

    def __init__(self, source: Hosted, ops: Hosted, unique: str, folder: Path, digest: str) -> None:
        self.source = source
        self.ops = ops
        self.unique = unique
        self._folder = folder
        files: dict[str, bytes | str | None] = {}
        words = {"UNIQUE": unique, "SERVER": ops.forge.url, "DIGEST": digest}
        for file in sorted(PROJECT.rglob("*")):
            if file.is_file():
                text = file.read_text()
                for word, value in words.items():
                    text = text.replace(word, value)
                files[str(file.relative_to(PROJECT))] = text
        self.source.remote.commit(files, message="Ask a question")
        self.ops.remote.commit({"README.md": "What runs.\n"})

    async def clone(self, name: str, *options: str) -> Clone:
        """A checkout of the project's main branch."""
        folder = self._folder / name
        await _git("clone", "--quiet", *options, self.source.url, str(folder))
        return Clone(folder)

    def namespace(self, environment: str) -> str:
        return f"poll-{environment}-{self.unique}"

    def manifests(self, environment: str) -> str:
        """The folder of an environment's manifests in the GitOps repository."""
        return f"{CLUSTER}/manifests/{self.namespace(environment)}/poll"

    def templates(self, environment: str) -> str:
        return f"{CLUSTER}/templates/{self.namespace(environment)}/poll"

    def texts(self, environment: str, branch: str = "main") -> dict[str, str]:
        """An environment's files on a branch of the GitOps repository, by name."""
        folder = f"{self.manifests(environment)}/"
        found = self.ops.remote.files(branch).items()
        return {path.removeprefix(folder): text for path, text in found if path.startswith(folder)}

    def title(self, environment: str, branch: str = "main") -> str:
        """What an environment shows, by a branch of the GitOps repository."""
        web = yaml.safe_load(self.texts(environment, branch)["deployment-web.yaml"])
        (container,) = web["spec"]["template"]["spec"]["containers"]
        return str(container["env"][0]["value"])


class Followed:
    """An environment that Argo CD keeps as the GitOps repository has it."""

    def __init__(self, poll: Poll, argo: ArgoCD, environment: str) -> None:
        self.poll = poll
        self.argo = argo
        self.client = argo.client
        self.environment = environment
        self.namespace = poll.namespace(environment)
        self.name = self.namespace

    async def start(self) -> None:
        """The namespace, and the Application, of which nothing is in the GitOps repository yet."""
        await objects.create(
            self.client, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        )
        await objects.create(self.client, self._log_in())
        await self.argo.create(self.name, source(self.poll.ops, self.poll.manifests(self.environment), self.namespace))

    async def stop(self) -> None:
        await objects.delete(self.client, self.argo.key(self.name))
        await objects.delete(self.client, ObjectKey("v1", "Secret", self.argo.namespace, self.name))
        await objects.delete(self.client, ObjectKey("v1", "Namespace", "", self.namespace))

    async def applied(self, commit: str) -> None:
        """Have it look now, and wait until it has applied a commit of the GitOps repository."""
        await self.argo.refresh(self.name)
        await self.argo.synced(self.name, commit)

    async def expose(self) -> None:
        """Give the Ingress an address, as the cluster's ingress controller does; until then it is not healthy."""
        status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
        ingress = self.key("networking.k8s.io/v1", "Ingress")
        await objects.patch(self.client, ingress, {"status": status}, subresource="status")

    async def get(self, api_version: str, kind: str, name: str = "web") -> dict[str, Any]:
        return await objects.get(self.client, self.key(api_version, kind, name))

    def key(self, api_version: str, kind: str, name: str = "web") -> ObjectKey:
        return ObjectKey(api_version, kind, self.namespace, name)

    def _log_in(self) -> dict[str, Any]:
        labels = {"argocd.argoproj.io/secret-type": "repository"}
        # in a header: git would ask for it by the program `argocd`, which is not there
        settings = {"type": "git", "url": self.poll.ops.url, "password": TOKEN, "forceHttpBasicAuth": "true"}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self.name, "namespace": self.argo.namespace, "labels": labels},
            "stringData": {**settings, "username": "argo"},
        }


async def _git(*arguments: str) -> None:
    """git that asks the server, which runs in the test's own process; it logs in as the user's git does."""
    helper = f"!f() {{ echo username=ann; echo password={TOKEN}; }}; f"
    argv = ["git", "-c", f"credential.helper={helper}", *arguments]
    process = await asyncio.create_subprocess_exec(*argv, env=os.environ, stderr=asyncio.subprocess.PIPE)
    _, told = await process.communicate()
    assert process.returncode == 0, f"git {' '.join(arguments)}: {told.decode()}"
