"""Addresses of repositories of Azure DevOps, of which there are more ways than of any other forge."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote

from innerloop.gitops.forges.address import Address
from innerloop.gitops.forges.errors import UnknownForge


class Place(NamedTuple):
    organization: str
    """URL of the organization, or of a server's collection."""
    identities: str
    """URL of the API that knows people."""
    project: str
    repository: str


def place(address: Address) -> Place:
    """Where a repository is. Raises UnknownForge for an address that is none of Azure DevOps."""
    parts = address.parts
    owner = address.host.removesuffix(".visualstudio.com")
    if address.host in ("ssh.dev.azure.com", "vs-ssh.visualstudio.com"):
        # shown as in a URL, though it is none
        parts = [unquote(part) for part in parts]
        if parts[0] == "v3" and len(parts) == 4:
            return _in_cloud(*parts[1:])
        if "_ssh" in parts[1:] and address.user:
            return _in_cloud(address.user, parts[-3] if len(parts) > 2 else parts[-1], parts[-1])
    elif len(parts) > 1 and parts[-2] == "_git":
        *before, repository = [*parts[:-2], parts[-1]]
        if address.host == "dev.azure.com" and before:
            return _in_cloud(before[0], before[1] if len(before) > 1 else repository, repository)
        if owner != address.host:
            named = [part for part in before if part.lower() != "defaultcollection"]
            return _in_cloud(owner, named[0] if named else repository, repository)
        if before:
            # a project's first repository has its name, and leaves it out
            collection, project = (before[:-1], before[-1]) if len(before) > 1 else (before, repository)
            root = "/".join([address.server, *map(quote, collection)])
            return Place(root, root, project, repository)
    raise UnknownForge(
        f"{address.path} is no address of a repository of Azure DevOps",
        hint="such as https://dev.azure.com/ORGANIZATION/PROJECT/_git/NAME, or"
        " https://SERVER/COLLECTION/PROJECT/_git/NAME",
    )


def _in_cloud(organization: str, project: str, repository: str) -> Place:
    # organizations of visualstudio.com answer there as well
    name = quote(organization)
    return Place(f"https://dev.azure.com/{name}", f"https://vssps.dev.azure.com/{name}", project, repository)
