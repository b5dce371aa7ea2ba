"""Whether an agent follows the place where an environment's manifests are."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote

from innerloop.deploy.identity import repository_name
from innerloop.gitops.forges import address, azure_places
from innerloop.gitops.forges.choosing import known
from innerloop.gitops.forges.errors import UnknownForge
from innerloop.gitops.places.layouts import Place


class Followed(NamedTuple):
    """What an agent has to read, to be one that applies an environment."""

    repository: str
    """Address as git takes it."""
    branch: str
    default_branch: str
    """What ``HEAD`` is taken to be."""
    folder: str
    """Where the manifests are, relative to the repository's top."""
    namespace: str
    """The environment's, empty where it has none: a place to look for agents' objects."""

    def is_at(self, repository: str, branch: str) -> bool:
        """Whether an address and a branch, as an agent has them, are these."""
        branch = branch.removeprefix("refs/heads/") or "HEAD"
        wanted = {self.branch, "HEAD"} if self.branch == self.default_branch else {self.branch}
        return branch in wanted and same_repository(repository, self.repository)

    def is_below(self, path: str, *, recursive: bool) -> bool:
        """Whether an agent that reads ``path`` reads the manifests; ``recursive``: with all that is below."""
        mine, theirs = _parts(self.folder), _parts(path)
        return mine == theirs or (recursive and mine[: len(theirs)] == theirs)


def followed(place: Place, repository: str, default_branch: str, namespace: str | None) -> Followed:
    """What agents read that apply what is at ``place``."""
    manifests = place.manifests
    folder = manifests.rpartition("/")[0] if manifests.endswith((".yaml", ".yml")) else manifests
    return Followed(repository, place.base, default_branch, folder, namespace or "")


def same_repository(one: str, other: str) -> bool:
    """Whether two addresses are ways to one repository."""
    return _name(one) == _name(other)


def _name(text: str) -> str:
    """One name for all addresses of a repository, in small letters as forges compare them."""
    where = address.parse(text)
    if where is not None and known(where.host) == "azure":
        try:
            # by SSH and by HTTPS its paths are different
            place = azure_places.place(where)
        except UnknownForge:
            pass
        else:
            return "/".join([place.organization, unquote(place.project), unquote(place.repository)]).lower()
    # a path of this machine is what `file://` has behind it
    return repository_name(text, "", "").lower()


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
