"""The kinds of Flux and Argo CD on a cluster without their controllers, whose statuses tests write themselves."""

from __future__ import annotations

from typing import Any

from innerloop.deploy.readiness import wait_ready
from innerloop.kube import discovery, objects
from innerloop.kube.client import Client
from innerloop.kube.errors import UnknownKind
from innerloop.manifest import ObjectKey

FLUX = "kustomize.toolkit.fluxcd.io/v1"
SOURCES = "source.toolkit.fluxcd.io/v1"
HELM = "helm.toolkit.fluxcd.io/v2"
ARGO = "argoproj.io/v1alpha1"
KINDS = {
    (FLUX, "Kustomization"): ("kustomizations", True),
    (SOURCES, "GitRepository"): ("gitrepositories", True),
    (HELM, "HelmRelease"): ("helmreleases", True),
    # Argo CD's own has no subresource
    (ARGO, "Application"): ("applications", False),
}
WHEN = {"lastTransitionTime": "2026-01-01T00:00:00Z"}
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


async def ensure_kinds(client: Client) -> None:
    """Define those that the cluster lacks; they stay, since other tests may use them meanwhile."""
    made = []
    for (api_version, kind), (plural, subresource) in KINDS.items():
        try:
            await discovery.resource(client, api_version, kind)
        except UnknownKind:
            definition = _definition(api_version, kind, plural, subresource)
            await objects.apply(client, definition, force=True)
            made.append(
                ObjectKey("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", definition["metadata"]["name"])
            )
    if made:
        await wait_ready(client, made, emit=lambda event: None, timeout=30)


def _definition(api_version: str, kind: str, plural: str, subresource: bool) -> dict[str, Any]:
    group, _, version = api_version.partition("/")
    schema = {"type": "object", "properties": {"spec": ANYTHING, "status": ANYTHING}}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [served | ({"subresources": {"status": {}}} if subresource else {})],
        },
    }


class Agents:
    """Objects of agents in one namespace, which follow one repository."""

    def __init__(self, client: Client, namespace: str, url: str) -> None:
        self.client = client
        self.namespace = namespace
        self.url = url

    async def kustomization(self, path: str, **spec: Any) -> None:
        """A GitRepository of the branch ``main``, and a Kustomization of a path in it."""
        await self._create(SOURCES, "GitRepository", {"url": self.url, "ref": {"branch": "main"}, "interval": "1m"})
        source = {"kind": "GitRepository", "name": "shop"}
        wanted = {"path": path, "sourceRef": source, "interval": "5m", "prune": True}
        await self._create(FLUX, "Kustomization", wanted | spec)

    async def reconciled(self, commit: str, *, attempted: str = "", ready: str = "True", message: str = "") -> None:
        """What Flux's controller writes: the last commit that was applied, and how the last attempt went."""
        reason = {"True": "ReconciliationSucceeded", "Unknown": "Progressing"}.get(ready, "HealthCheckFailed")
        status = {
            "lastAppliedRevision": f"main@sha1:{commit}",
            "lastAttemptedRevision": f"main@sha1:{attempted or commit}",
            "conditions": [{"type": "Ready", "status": ready, "reason": reason, "message": message, **WHEN}],
        }
        key = ObjectKey(FLUX, "Kustomization", self.namespace, "shop")
        await objects.patch(self.client, key, {"status": status}, subresource="status")

    async def application(self, path: str) -> None:
        """An Application of a path, which is synced by itself."""
        wanted = {
            "project": "default",
            "source": {"repoURL": self.url, "path": path, "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": self.namespace},
            "syncPolicy": {"automated": {"prune": True}},
        }
        await self._create(ARGO, "Application", wanted)

    async def synced(self, commit: str, health: str) -> None:
        """What Argo CD's controller writes once the cluster is as a commit says."""
        status = {"sync": {"status": "Synced", "revision": commit}, "health": {"status": health}}
        await objects.patch(self.client, ObjectKey(ARGO, "Application", self.namespace, "shop"), {"status": status})

    async def _create(self, api_version: str, kind: str, spec: dict[str, Any]) -> None:
        metadata = {"name": "shop", "namespace": self.namespace}
        await objects.create(self.client, {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})
