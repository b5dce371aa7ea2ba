"""Where a cluster wants its images: loaded into its nodes, pushed to its registry, or to the image's own.

Registries of local clusters make themselves known by the ConfigMap ``local-registry-hosting`` in ``kube-public``
(KEP-1755).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from innerloop import cluster, references
from innerloop.build.builders import Mirror
from innerloop.build.nodes import Nodes
from innerloop.config import yaml
from innerloop.events import Emit
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import Forbidden, NotFound
from innerloop.manifest import ObjectKey
from innerloop.references import DOCKER_HUB

HOSTING = ObjectKey("v1", "ConfigMap", "kube-public", "local-registry-hosting")


class Push(NamedTuple):
    """Images are pushed to a registry."""

    prefix: str = ""
    """Host, perhaps with a path, that all images go to; empty: each goes to the host of its own repository."""
    plain_http: bool = False
    pulled_from: str = ""
    """The prefix under which the cluster pulls them, where it is another."""
    mirror: Mirror | None = None
    """Where base images are found first."""

    def repository(self, repository: str) -> str:
        """The full name that an image is pushed to."""
        return _below(self.prefix, repository)

    def pulled(self, repository: str) -> str:
        """The full name that manifests use."""
        return _below(self.pulled_from or self.prefix, repository)


class Load(NamedTuple):
    """Images are copied into a local cluster's nodes."""

    cluster: str
    """For messages."""
    load: Callable[[Path, str, Emit], Awaitable[None]]
    """Loads a docker archive that has one image by a reference."""
    present: Callable[[str], Awaitable[bool]]
    """Whether the nodes have an image by this reference."""
    mirror: Mirror | None = None

    def repository(self, repository: str) -> str:
        return references.repository(repository)

    def pulled(self, repository: str) -> str:
        return references.repository(repository)


Destination = Push | Load


async def destination(client: Client, context: str) -> Destination:
    """Where the images for a cluster go; ``context`` is its name in the kubeconfig."""
    provider = cluster.provider_of(context)
    advertised = await advertised_registry(client)
    if advertised and provider and provider.kind == "built-in":
        # its registry also has the base images, for machines that reach no other
        return advertised._replace(mirror=Mirror(advertised.prefix, advertised.plain_http))
    if advertised or provider is None:
        return advertised or Push()
    nodes = Nodes(client)

    async def load(archive: Path, reference: str, emit: Emit) -> None:
        await provider.load([str(archive)], emit)
        await nodes.remember(reference)

    return Load(provider.name, load, nodes.have)


async def advertised_registry(client: Client, hosting: ObjectKey = HOSTING) -> Push | None:
    """The registry that a cluster advertises, None when it does none or does not let us see it."""
    try:
        found = await objects.get(client, hosting)
    except (NotFound, Forbidden):
        return None
    documents = yaml.load_all((found.get("data") or {}).get("localRegistryHosting.v1") or "", str(hosting))
    told: dict[str, Any] = documents[0] if documents and isinstance(documents[0], dict) else {}
    host = str(told.get("host") or "")
    # by the KEP, the host that is pushed to may have another name for the container runtime
    pulled_from = str(told.get("hostFromContainerRuntime") or "")
    return Push(host, references.is_local(host), pulled_from) if host else None


def _below(prefix: str, repository: str) -> str:
    """A repository's name under a prefix: ``web``, ``shop/web``, ``example.com/shop/web``."""
    parsed = references.parse(repository)
    if parsed is None or not prefix:
        return references.repository(repository)
    if parsed.domain == DOCKER_HUB:
        return f"{prefix}/{parsed.path.removeprefix('library/')}"
    # a port's colon cannot be in a path
    return f"{prefix}/{parsed.domain.replace(':', '-').lower()}/{parsed.path}"
