"""Which agents of a cluster follow a place in a GitOps repository, and how far they are. Only reads."""

from __future__ import annotations

from typing import Any

from innerloop.gitops.agents import applied_by_argocd, applied_by_flux
from innerloop.gitops.agents.following import Followed
from innerloop.gitops.agents.verdicts import Kind, Sight
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import Forbidden, UnknownKind

Object = dict[str, Any]


async def look(client: Client, place: Followed) -> Sight:
    """What the agents of a cluster do with ``place``. Raises ApiError, ConnectionFailed."""
    hidden: list[str] = []
    kustomizations = await _listed(client, applied_by_flux.KUSTOMIZATIONS, place, hidden)
    repositories = await _listed(client, applied_by_flux.REPOSITORIES, place, hidden) if kustomizations else None
    applications = await _listed(client, applied_by_argocd.APPLICATIONS, place, hidden)
    found = applied_by_flux.followers(kustomizations or (), repositories or (), place)
    found += applied_by_argocd.followers(applications or (), place)
    installed = {"Flux": kustomizations, "Argo CD": applications}
    return Sight(
        followers=tuple(found),
        agents=tuple(name for name, listed in installed.items() if listed is not None),
        hidden=tuple(hidden),
    )


async def _listed(client: Client, kind: Kind, place: Followed, hidden: list[str]) -> list[Object] | None:
    """All objects of a kind that we may see, None where the cluster has no such kind.

    Who may not list them everywhere may perhaps where they belong.
    """
    for version in kind.versions:
        api_version = f"{kind.group}/{version}"
        try:
            found, _ = await objects.list_all(client, api_version, kind.kind, namespace=None)
            return found
        except UnknownKind:
            continue
        except Forbidden as error:
            return await _in_namespaces(client, api_version, kind, place, hidden, error)
    return None


async def _in_namespaces(
    client: Client, api_version: str, kind: Kind, place: Followed, hidden: list[str], refused: Forbidden
) -> list[Object]:
    seen: list[Object] = []
    allowed = False
    for namespace in {kind.home, place.namespace} - {""}:
        try:
            found, _ = await objects.list_all(client, api_version, kind.kind, namespace=namespace)
        except Forbidden:
            continue
        seen += found
        allowed = True
    if not allowed:
        hidden.append(f"no right to list {kind.kind}s of {kind.group}: {refused.message}")
    return seen
