"""How an environment stands in the GitOps repository: on the branch that counts, and on the one that is proposed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from innerloop.errors import Location, LoopError
from innerloop.gitops.places.contents import is_manifest
from innerloop.gitops.places.layouts import Place
from innerloop.gitops.provenance import Provenance, decode
from innerloop.gitops.repository.repository import Repository
from innerloop.project import GitOps


class State(NamedTuple):
    """What a commit has of an environment."""

    commit: str
    files: dict[str, bytes]
    """All at the owned paths, and what else a promotion wrote, by path; without the file of provenance."""
    provenance: Provenance | None
    """None where there is none, or another tool's."""
    foreign: bool
    """Whether another tool wrote a file of provenance there."""


class Standing(NamedTuple):
    base: State
    branch_is_new: bool
    """Whether the base branch is to be made, of ``base.commit``."""
    head: State | None
    """The proposed branch, None where there is none."""


async def look(repository: Repository, place: Place, gitops: GitOps) -> Standing:
    """The newest state on the server. Raises LoopError where there is no branch to begin from."""
    seen = await repository.branches(place.base, place.head, gitops.branch)
    start = seen.get(place.base)
    if start is None and gitops.layout == "branch":
        start = seen.get(gitops.branch)
    if start is None:
        raise LoopError(
            f"{repository.address} has no branch {gitops.branch}",
            hint="push a first commit to it, or say `gitops.branch` in loop.yaml",
        )
    head = seen.get(place.head)
    return Standing(
        base=await state(repository, start, place),
        branch_is_new=place.base not in seen,
        head=await state(repository, head, place) if head else None,
    )


async def state(repository: Repository, commit: str, place: Place) -> State:
    """What a commit has of the environment."""
    files = await repository.read(commit, place.owned)
    metadata = files.pop(place.metadata, None)
    where = Location(f"{commit[:12]}:{place.metadata}")
    provenance = decode(metadata, where) if metadata is not None else None
    written = written_paths(provenance, place) if provenance else frozenset()
    # of a layout that was another one then
    elsewhere = [path for path in written if path not in files]
    files |= await repository.read(commit, elsewhere)
    return State(commit, files, provenance, metadata is not None and provenance is None)


def written_paths(provenance: Provenance, place: Place) -> frozenset[str]:
    """The manifests that a promotion wrote, by path in the repository."""
    folder = place.folder
    return frozenset(f"{folder}/{path}" for path in provenance.files)


def manifests(files: Mapping[str, bytes], place: Place) -> dict[str, bytes]:
    """Of an environment's files those that the agent applies."""
    return {path: content for path, content in files.items() if is_manifest(path, place)}
