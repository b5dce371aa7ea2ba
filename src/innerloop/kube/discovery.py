"""Which resources a server has, and where.

One question each for ``/api`` and ``/apis`` where the server aggregates its answer (``apidiscovery.k8s.io/v2``,
KEP-3352, Kubernetes 1.30; v2beta1 since 1.26), else one for each group and version.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from innerloop.kube.client import JSON, Client
from innerloop.kube.errors import ApiError, UnknownKind

AGGREGATED = ",".join(
    [f"{JSON};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")] + [JSON]
)


class Resource(msgspec.Struct, frozen=True):
    """A kind of object as the server serves it."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """URL path of an object, or of the collection where ``name`` is empty."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts += [self.plural, *(quote(part, safe="") for part in (name, subresource) if part)]
        return "/".join(parts)


Index = dict[tuple[str, str], Resource]
"""By API version and kind."""

ROOTS = ("/api", "/apis")
"""Of the core group, of all others."""


class _Known:
    """What a client knows of its server."""

    def __init__(self) -> None:
        self.roots: dict[str, Index] = {}
        # many objects of a kind nobody saw yet ask once
        self.asking = {root: asyncio.Lock() for root in ROOTS}


async def resource(client: Client, api_version: str, kind: str) -> Resource:
    """The resource of a kind; asks the server again when it is not known yet.

    Raises UnknownKind with a suggestion.
    """
    known = _known(client)
    root = ROOTS["/" in api_version]
    before = known.roots.get(root, {})
    found = before.get((api_version, kind))
    if found is None:
        async with known.asking[root]:
            index = known.roots.get(root, {})
            if index is before or (api_version, kind) not in index:
                index = known.roots[root] = await _ask(client, root)
        found = index.get((api_version, kind))
    if found is None:
        raise _unknown(api_version, kind, await resources(client))
    return found


async def resources(client: Client) -> Index:
    """Everything that the server had when it was last asked."""
    known = _known(client)
    for root in ROOTS:
        async with known.asking[root]:
            if root not in known.roots:
                known.roots[root] = await _ask(client, root)
    return known.roots[ROOTS[0]] | known.roots[ROOTS[1]]


def _known(client: Client) -> _Known:
    known: _Known = client.cache.setdefault("discovery", _Known())
    return known


async def _ask(client: Client, root: str) -> Index:
    answer = await client.request_json("GET", root, accept=AGGREGATED)
    if answer["kind"] == "APIGroupDiscoveryList":
        return _index(_aggregated(answer))
    return await unaggregated(client, answer)


def _index(found: Iterable[Resource]) -> Index:
    return {(one.api_version, one.kind): one for one in found}


def _aggregated(answer: dict[str, Any]) -> Iterator[Resource]:
    for group in answer["items"]:
        for version in group.get("versions", []):
            for found in version.get("resources", []):
                # subresources have entries of their own below it
                kind = (found.get("responseKind") or {}).get("kind", "")
                yield Resource(
                    group=group["metadata"].get("name", ""),
                    version=version["version"],
                    plural=found["resource"],
                    kind=kind,
                    namespaced=found["scope"] == "Namespaced",
                    verbs=tuple(found.get("verbs") or ()),
                )


async def unaggregated(client: Client, answer: dict[str, Any]) -> Index:
    """The way before aggregation: ``answer`` is an APIVersions (core) or an APIGroupList."""
    paths = [f"/api/{version}" for version in answer.get("versions", [])]
    for group in answer.get("groups", []):
        paths += [f"/apis/{version['groupVersion']}" for version in group["versions"]]
    async with asyncio.TaskGroup() as tasks:
        lists = [tasks.create_task(_version(client, path), name=f"discover {path}") for path in paths]
    return _index(found for one in lists for found in one.result())


async def _version(client: Client, path: str) -> list[Resource]:
    try:
        answer = await client.request_json("GET", path)
    except ApiError:
        # an aggregated API (metrics, say) that is down must not hide the others
        return []
    group, _, version = answer["groupVersion"].rpartition("/")
    return [
        Resource(group, version, found["name"], found["kind"], found["namespaced"], tuple(found["verbs"]))
        for found in answer["resources"]
        if "/" not in found["name"]
    ]


def _unknown(api_version: str, kind: str, known: Index) -> UnknownKind:
    message = f"the cluster has no kind {kind} in {api_version}"
    others = sorted(version for version, name in known if name == kind)
    if others:
        return UnknownKind(message, hint=f"it has {kind} in {', '.join(others)}")
    near = difflib.get_close_matches(kind, {name for _, name in known}, n=1)
    if near:
        return UnknownKind(message, hint=f"did you mean {near[0]}?")
    return UnknownKind(message, hint="install the operator or the CustomResourceDefinition that brings it")
