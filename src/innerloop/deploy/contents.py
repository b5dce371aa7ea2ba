"""What is in a namespace, or carries our label anywhere: asked of every kind that the cluster has."""

from __future__ import annotations

import re
from collections.abc import Iterable

from innerloop.deploy import records
from innerloop.deploy.looking import Metadata, list_metadata
from innerloop.deploy.records import Entry, State
from innerloop.deploy.sharing import Share
from innerloop.deploy.together import together
from innerloop.kube import discovery
from innerloop.kube.client import Client
from innerloop.kube.errors import ApiError, NotFound
from innerloop.manifest import ObjectKey

LIST_SECONDS = 5.0
"""For one kind: an API whose own server is down must not hold up the others."""
PASSING_KINDS = frozenset({"Event", "Endpoints", "EndpointSlice", "Lease", "ControllerRevision", "PodMetrics"})
"""Made by the cluster for other objects, or signs of life: they belong to nobody."""
CLUSTERS_OWN = re.compile(
    r"ConfigMap/(kube-root-ca\.crt|openshift-service-ca\.crt|istio-ca-root-cert)"
    r"|ServiceAccount/(default|builder|deployer)|RoleBinding/system:.*"
)
"""What clusters put into every namespace."""


async def foreign_objects(client: Client, namespace: str, own: Iterable[ObjectKey], project: str) -> list[str]:
    """What is in a namespace beside the project's own objects and what depends on them, for people; at most a few.

    ``own`` are objects that count as the project's though no inventory lists them. A kind that may not be listed is
    named too: nobody knows what is there.
    """
    mine = {(key.kind, key.name) for key in own}

    async def of_kind(kind: discovery.Resource) -> list[str]:
        try:
            found = await list_metadata(client, kind, namespace=namespace, timeout=LIST_SECONDS)
        except NotFound:
            return []  # a definition that was just removed: discovery lags behind
        except ApiError as error:
            return [f"{kind.plural} (cannot be listed: {error.message})"]
        return [
            f"{kind.kind}/{metadata['name']}"
            for metadata in found
            if (kind.kind, metadata["name"]) not in mine and not _is_passing(kind.kind, metadata, project)
        ]

    kinds = [kind for kind in await listed_kinds(client) if kind.namespaced]
    return sorted(name for names in await together(of_kind, kinds, name="list") for name in names)


async def strays(client: Client, ours: Share) -> list[Entry]:
    """What carries our label outside the namespace, wherever we may look: it outlives a deleted inventory."""

    async def of_kind(kind: discovery.Resource) -> list[Entry]:
        try:
            found = await list_metadata(client, kind, label_selector=ours.label, timeout=LIST_SECONDS)
        except ApiError:
            return []  # who may not list a kind has not put anything of it there
        return [
            Entry(
                ObjectKey(kind.api_version, kind.kind, metadata.get("namespace", ""), metadata["name"]),
                State.CREATED,
                metadata["uid"],
            )
            for metadata in found
        ]

    kinds = await listed_kinds(client)
    return [entry for entries in await together(of_kind, kinds, name="look for strays") for entry in entries]


async def listed_kinds(client: Client) -> list[discovery.Resource]:
    """Every kind of lasting objects that can be listed and deleted, in the version that discovery names first."""
    kinds: dict[tuple[str, str], discovery.Resource] = {}
    for kind in (await discovery.resources(client)).values():
        if {"list", "delete"} <= set(kind.verbs) and kind.kind not in PASSING_KINDS:
            kinds.setdefault((kind.group, kind.kind), kind)
    return list(kinds.values())


def _is_passing(kind: str, metadata: Metadata, project: str) -> bool:
    """Whether an object goes with others, or was never anybody's."""
    labels = metadata.get("labels") or {}
    annotations = metadata.get("annotations") or {}
    ours = records.labels(project)
    return bool(
        metadata.get("ownerReferences")
        or metadata.get("deletionTimestamp")
        or CLUSTERS_OWN.fullmatch(f"{kind}/{metadata['name']}")
        # tokens that older clusters make for accounts
        or (kind == "Secret" and "kubernetes.io/service-account.name" in annotations)
        or labels.items() >= {name: ours[name] for name in ours if name != records.LABEL}.items()
    )


def some(names: list[str]) -> str:
    """The first few, for people."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
