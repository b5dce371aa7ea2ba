"""Who applies the objects of a cluster, up to the last parent.

In a cluster without agents this costs nothing: which kinds there are is known from discovery.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, NamedTuple

from innerloop.deploy.together import together
from innerloop.gitops.agents.ladder import Owned
from innerloop.gitops.agents.ownership import KINDS, Claim, Kind, Target, claims, confirms, target_of
from innerloop.kube import discovery, objects
from innerloop.kube.client import Client
from innerloop.kube.errors import Forbidden, NotFound
from innerloop.manifest import ObjectKey

Object = dict[str, Any]

ARGO_NAMESPACE = "argocd"
"""Where Argo CD is by its own instructions: for those who may not look for Applications everywhere."""


class Unseen(NamedTuple):
    """An object whose applier may not be looked at."""

    about: Target
    claim: Claim
    why: str


class Found(NamedTuple):
    owned: tuple[Owned, ...]
    """Each object that was asked about, with what applies it."""
    unseen: tuple[Unseen, ...] = ()


async def served(client: Client) -> dict[Kind, discovery.Resource]:
    """The kinds of appliers that the cluster has, each in the version that the server prefers."""
    known: dict[Kind, discovery.Resource] = {}
    for one in (await discovery.resources(client)).values():
        for kind in KINDS:
            if (one.group, one.kind) == (kind.group, kind.kind):
                # the preferred version comes first
                known.setdefault(kind, one)
    return known


async def find(client: Client, live: Iterable[Object]) -> Found:
    """The appliers of live objects, which may be metadata only (with ``apiVersion`` and ``kind``).

    Raises ApiError, ConnectionFailed.
    """
    live = list(live)
    kinds = await served(client)
    if not kinds:
        return Found(tuple(Owned(one) for one in live))
    finder = _Finder(client, kinds)
    owned = await together(finder.owned, live, name="find the applier of")
    return Found(tuple(owned), tuple(dict.fromkeys(finder.unseen)))


class _Finder:
    """Asks for each applier once."""

    def __init__(self, client: Client, kinds: dict[Kind, discovery.Resource]) -> None:
        self._client = client
        self._kinds = kinds
        self._known: dict[Claim, list[Object]] = {}
        self._asking = asyncio.Lock()
        self.unseen: list[Unseen] = []

    async def owned(self, object: Object, below: tuple[Target, ...] = ()) -> Owned:
        """An object with its appliers; ``below`` has what leads to it, for parents that apply one another."""
        about = target_of(object)
        appliers = [one for claim in claims(about, object["metadata"]) for one in await self._appliers(about, claim)]
        above = [one for one in appliers if target_of(one) not in (*below, about)]
        return Owned(object, tuple([await self.owned(one, (*below, about)) for one in above]))

    async def _appliers(self, about: Target, claim: Claim) -> list[Object]:
        """Those that a claim means: one, or none where it is wrong or the applier is gone."""
        try:
            async with self._asking:
                if claim not in self._known:
                    self._known[claim] = await self._ask(claim)
        except Forbidden as error:
            self.unseen.append(Unseen(about, claim, error.message))
            return []
        candidates = self._known[claim]
        confirmed = [one for one in candidates if confirms(one, about)]
        if confirmed or not claim.sure:
            return confirmed[:1]
        # made a moment ago, it is not yet in the applier's list
        return candidates if len(candidates) == 1 else []

    async def _ask(self, claim: Claim) -> list[Object]:
        resource = self._kinds.get(claim.kind)
        if resource is None:
            return []
        if claim.namespace:
            return await self._get(resource, claim.namespace, claim.name)
        try:
            found, _ = await objects.list_all(
                self._client,
                resource.api_version,
                resource.kind,
                namespace=None,
                field_selector=f"metadata.name={claim.name}",
            )
        except Forbidden:
            return await self._get(resource, ARGO_NAMESPACE, claim.name)
        return found

    async def _get(self, resource: discovery.Resource, namespace: str, name: str) -> list[Object]:
        key = ObjectKey(resource.api_version, resource.kind, namespace, name)
        try:
            found = await objects.get(self._client, key)
            return [{**found, "apiVersion": key.api_version, "kind": key.kind}]
        except NotFound:
            return []
