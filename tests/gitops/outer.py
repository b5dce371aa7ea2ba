"""A project, its clone, its GitOps repository and a forge, and what people and promotions do there."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from innerloop.config.loading import Options, load
from innerloop.events import Event
from innerloop.gitops import provenance
from innerloop.gitops.differences.comparing import place_of
from innerloop.gitops.forges.forge import Forge as Adapter
from innerloop.gitops.progress.progress import Progress
from innerloop.gitops.progress.source_history import History
from innerloop.gitops.progress.status import Inquiry, Sources
from innerloop.gitops.provenance import Provenance, SourceCommit
from innerloop.gitops.repository import repository
from innerloop.kube.client import Client
from innerloop.project import Project
from tests.gitops.conftest import adapter_of
from tests.gitops.forge.github import GitHub
from tests.gitops.forge.repository import Pull, Repository, Style
from tests.gitops.forge.server import Forge, serving
from tests.gitops.remote import Remote

FILE = """\
name: shop
manifests: [{files: 'deploy/*.yaml'}]
environments: {stage: {namespace: %s}}
gitops: {repository: '%s', layout: %s}
"""


class World:
    """``shop`` on its way to ``stage``. ``url`` is the project's of the GitOps repository, which is on the disk."""

    def __init__(self, folder: Path, *, namespace: str = "shop", layout: str = "folder", url: str = "") -> None:
        self.remote = Remote(folder / "ops.git")
        self.url = url or self.remote.url
        self.remote.commit({"README.md": "ours\n"})
        self.folder = folder / "shop"
        self.folder.mkdir()
        self.events: list[Event] = []
        self._commits = 0
        self.git("init", "--quiet")
        (self.folder / "loop.yaml").write_text(FILE % (namespace, self.url, layout))
        self.project: Project = load(self.folder / "loop.yaml", Options(env="stage", fallback_namespace=""))
        self.place = place_of(self.project)
        if layout == "branch":
            self.remote.commit({"README.md": "stage\n"}, self.place.base)
        self.forge_side = Repository("acme/vote", head_of=self._head_of, merge_commit=self._merged)
        self.forge: Forge | None = None

    def commit(self) -> str:
        """A commit of the project."""
        self._commits += 1
        self.git("commit", "--quiet", "--allow-empty", "-m", f"Change {self._commits}")
        return self.git("rev-parse", "HEAD")

    def propose(
        self, source: str, *, title: str = "Cats", rolled_back: str = "", more: str = "", clean: bool = True
    ) -> Pull:
        """What a promotion of a source commit leaves: the branch, and its pull request. ``more`` is further YAML."""
        metadata = f"{{name: web, namespace: {self.project.namespace}}}"
        config_map = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {metadata}\ndata: {{title: {title}}}\n{more}"
        told = Provenance(
            project="shop",
            environment="stage",
            source=SourceCommit(repository="", commit=source, clean=clean),
            rolled_back=rolled_back,
            files={"configmap-web.yaml": hashlib.sha256(config_map.encode()).hexdigest()},
        )
        files: dict[str, bytes | str | None] = {
            f"{self.place.manifests}/configmap-web.yaml": config_map,
            self.place.metadata: provenance.encode(told),
        }
        base = self.remote.tip(self.place.base)
        assert base is not None
        self.remote.commit(files, self.place.head, message="Whatever", parents=(base,))
        return self.forge_side.open(*self.place[1::-1]) or self.forge_side.add(self.place.head, self.place.base)

    def merge(self, pull: Pull, style: Style = "squash") -> str:
        """The button; returns the commit on the environment's branch."""
        return self.forge_side.merge(pull.number, style)

    def promote(self, source: str, **options: Any) -> str:
        """Proposed and merged at once."""
        return self.merge(self.propose(source, **options))

    @asynccontextmanager
    async def inquiry(self, commit: str, client: Client | None = None, url: str = "") -> AsyncIterator[Inquiry]:
        """``url`` is another one of the GitOps repository."""
        async with (
            serving(GitHub(self.forge_side)) as self.forge,
            adapter_of("github", self.forge.url) as adapter,
            repository.opened(url or self.remote.url, self.events.append) as there,
        ):
            self.adapter: Adapter = adapter
            yield Inquiry(self.project, commit, Sources(there, History(self.folder), adapter, client))

    async def look(self, commit: str, client: Client | None = None) -> Progress:
        async with self.inquiry(commit, client) as inquiry:
            return await inquiry.look()

    def _head_of(self, branch: str) -> str:
        tip = self.remote.tip(branch)
        if tip is None:
            raise KeyError(branch)
        return tip

    def _merged(self, pull: Pull, style: Style) -> str:
        how = self.remote.squash if style == "squash" else self.remote.merge
        return how(pull.head, pull.base)

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
        argv = ["git", *identity, *arguments]
        return subprocess.run(argv, cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()
