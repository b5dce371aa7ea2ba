"""Where an environment is in the GitOps repository: its branches, and the paths that the project owns there."""

from __future__ import annotations

import posixpath
from typing import NamedTuple

from innerloop.errors import LoopError
from innerloop.gitops import provenance
from innerloop.project import Environment, GitOps, Project


class Place(NamedTuple):
    """An environment's place. Paths are relative to the repository's top, ``/`` between names."""

    base: str
    """Branch that the agent follows and that pull requests go to."""
    head: str
    """Branch that is proposed; the project's own, always made anew from ``base``."""
    manifests: str
    """What the agent applies: a folder, or the one file where all objects are in one."""
    templates: str
    """Folder of the filled-in templates; empty where the layout has none."""
    metadata: str
    """The file of provenance."""

    @property
    def owned(self) -> tuple[str, ...]:
        """Everything that the project may write and remove, and nothing else."""
        return tuple(dict.fromkeys(filter(None, (self.manifests, self.templates, self.metadata))))

    @property
    def folder(self) -> str:
        """What paths in ``Provenance.files`` count from, the same for one file and for a file per object."""
        return posixpath.dirname(self.manifests if self.templates else self.metadata)


def place(project: Project, environment: Environment, gitops: GitOps) -> Place:
    """Where an environment is. Raises LoopError where the layout needs a namespace and there is none."""
    name = project.name
    single = gitops.files == "one"
    if gitops.layout == "branch":
        base = f"environments/{environment.name}"
        return _beside(base, f"{base}-next/{name}", name, single)
    head = f"loop/{environment.name}/{name}"
    if gitops.layout == "folder":
        return _beside(gitops.branch, head, f"{environment.name}/{name}", single)
    namespace = environment.namespace
    if namespace is None:
        where = project.where(f"environments.{environment.name}")
        raise LoopError(f"environment {environment.name} has no namespace", where=where, hint="the layout needs it")
    cluster = environment.cluster or environment.name
    manifests, templates = (f"{cluster}/{kind}/{namespace}/{name}" for kind in ("manifests", "templates"))
    metadata = f"{templates}/{provenance.FILE}"
    return Place(gitops.branch, head, f"{manifests}.yaml" if single else manifests, templates, metadata)


def _beside(base: str, head: str, folder: str, single: bool) -> Place:
    """Manifests and provenance in one folder."""
    return Place(base, head, f"{folder}/manifests.yaml" if single else folder, "", f"{folder}/{provenance.FILE}")
