"""A GitOps repository with its forge, as a promotion meets them: git is real, and so are the requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from innerloop.errors import Location
from innerloop.events import Event, Notice
from innerloop.gitops.environments.rendering import Rendered
from innerloop.gitops.forges.plain import PlainGit
from innerloop.gitops.places import layouts
from innerloop.gitops.places.contents import files_of, provenance_of
from innerloop.gitops.places.layouts import Place
from innerloop.gitops.places.standing import look
from innerloop.gitops.progress.source_history import History
from innerloop.gitops.promotion import promotion, rollbacks, wording
from innerloop.gitops.promotion.planning import Allowed, Wanted
from innerloop.gitops.promotion.promotion import Outcome
from innerloop.gitops.promotion.work import Work
from innerloop.gitops.provenance import Provenance, SourceCommit, decode
from innerloop.gitops.repository.repository import Author, opened
from innerloop.manifest import Manifest
from innerloop.project import Environment, GitOps, Project
from tests.gitops.forge.kinds import KINDS, adapter_of
from tests.gitops.forge.repository import Pull, Repository, Style
from tests.gitops.forge.server import Forge, serving
from tests.gitops.remote import Remote

ME = Author("Robot", "robot@example.com")
ENVIRONMENT = Environment(name="stage", namespace="vote")


def config_map(name: str = "web", data: str = "1", **metadata: str) -> Manifest:
    document: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap"}
    document["metadata"] = {"name": name, "namespace": "vote", **metadata}
    return Manifest({**document, "data": {"value": data}}, f"deploy/{name}.yaml")


def source_of(commit: str, subject: str = "Change the title") -> SourceCommit:
    return SourceCommit(
        repository="https://example.com/vote.git",
        commit=commit * 40 if len(commit) == 1 else commit,
        author="Alice <alice@example.com>",
        date="2026-11-25T10:00:00+00:00",
        subject=subject,
    )


def rendered(
    *manifests: Manifest,
    commit: str = "a",
    project: str = "vote",
    templates: dict[str, bytes] | None = None,
    environment: Environment = ENVIRONMENT,
) -> Rendered:
    provenance = Provenance(
        project=project,
        environment=environment.name,
        source=source_of(commit),
        images={"example.com/web": "example.com/web@sha256:" + "0" * 64},
        engines={"innerloop": "0.1", "helm": "v4.2.1"},
        inputs=f"inputs of {commit}",
    )
    return Rendered(environment, manifests, templates or {}, provenance)


class Lab:
    """One environment of a project, its repository, and the forge of that."""

    def __init__(self, remote: Remote, forge: Forge, gitops: GitOps, kind: str, name: str = "vote") -> None:
        self.remote = remote
        self.forge = forge
        self.gitops = gitops
        self.name = name
        self.kind = kind
        self.events: list[Event] = []
        self.history = History(remote.folder)
        """Of a clone that has none of the source's commits."""

    @property
    def place(self) -> Place:
        project = Project(name=self.name, file=Path("/loop.yaml"), folder=Path("/"), gitops=self.gitops)
        return layouts.place(project, ENVIRONMENT, self.gitops)

    @property
    def pulls(self) -> list[Pull]:
        return self.forge.repository.pulls

    @property
    def notices(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Notice)]

    def set(self, **settings: Any) -> None:
        self.gitops = msgspec.structs.replace(self.gitops, **settings)

    def wanted(self, *manifests: Manifest, commit: str = "a", templates: dict[str, bytes] | None = None) -> Wanted:
        made = rendered(*manifests, commit=commit, project=self.name, templates=templates)
        files = files_of(made, self.place)
        provenance = provenance_of(made.provenance, files, self.place)
        return Wanted(files, provenance, wording.promotion_title(provenance), "", "")

    async def promote(self, *manifests: Manifest, commit: str = "a", **allowed: bool) -> Outcome:
        return await self.propose(self.wanted(*manifests, commit=commit), **allowed)

    async def propose(self, wanted: Wanted, **allowed: bool) -> Outcome:
        async with self.working() as work:
            return await promotion.propose(work, wanted, Allowed(**allowed))

    async def roll_back(self, to: str = "", **allowed: bool) -> Outcome:
        async with self.working() as work:
            standing = await look(work.repository, work.place, self.gitops)
            found = await rollbacks.past(work.repository, work.place, standing, to)
            return await promotion.propose(work, rollbacks.going_back(standing.base, found), Allowed(**allowed))

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Work]:
        plain = PlainGit(None, None) if self.gitops.forge == "git" else None
        async with opened(self.remote.url, self.emit) as repository, adapter_of(self.kind, self.forge.url) as adapter:
            yield Work(repository, plain or adapter, self.place, self.gitops, ME, self.emit, self.history)

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def merge(self, style: Style = "squash") -> str:
        """Someone merges the last pull request; its branch stays."""
        commit = self.forge.repository.merge(len(self.pulls), style)
        self.forge.repository.settle()
        return commit

    def close(self) -> None:
        self.forge.repository.close(self.pulls[-1])

    def provenance(self, commit: str = "") -> Provenance:
        content = self.remote.files(commit or self.place.base)[self.place.metadata]
        found = decode((content + "\n").encode(), Location("metadata"))
        assert found is not None
        return found


@asynccontextmanager
async def lab_at(folder: Path, kind: str = "github") -> AsyncIterator[Lab]:
    """With a repository that has a file of somebody else's."""
    remote = Remote(folder / "ops.git")
    remote.commit({"README.md": "ours\n", "stage/other/configmap-web.yaml": "x: 1\n"})

    def head_of(branch: str) -> str:
        tip = remote.tip(branch)
        if tip is None:
            raise KeyError(branch)
        return tip

    def merged(pull: Pull, style: Style) -> str:
        return (remote.squash if style == "squash" else remote.merge)(pull.head, pull.base)

    repository = Repository(KINDS[kind].path, head_of=head_of, merge_commit=merged)
    async with serving(KINDS[kind].speaker(repository)) as forge:
        yield Lab(remote, forge, GitOps(repository=remote.url), kind)
