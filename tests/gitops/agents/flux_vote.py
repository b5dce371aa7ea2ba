"""A namespace that a Kustomization of the real Flux keeps."""

from __future__ import annotations

from typing import Any

from innerloop.gitops.agents.records import ANNOTATION
from innerloop.kube import objects
from innerloop.manifest import ObjectKey
from tests.gitops.agents.argocd import Repository
from tests.gitops.agents.flux import Flux, kustomization, source
from tests.gitops.agents.vote import FILES, Kept, text


class FluxVote(Kept):
    """Kept by a Kustomization, with a GitRepository of the same name."""

    def __init__(self, flux: Flux, repository: Repository, namespace: str, url: str) -> None:
        super().__init__(flux.client, repository, namespace)
        self.flux = flux
        self.url = url

    @property
    def parent(self) -> str:
        """Name of a Kustomization that may apply this one."""
        return f"{self.name}-parent"

    @property
    def spec(self) -> dict[str, Any]:
        """Of the Kustomization, when nobody asks anything else."""
        return kustomization(self.name, "./vote", self.namespace)

    async def start(self, **more: Any) -> None:
        """The Kustomization, with its first commit applied."""
        commit = await self.publish(FILES)
        await self.flux.create(self.name, {**self.spec, **more})
        await self.flux.applied(self.name, commit)

    async def publish(self, files: dict[str, str | None]) -> str:
        """A commit, which Flux has then."""
        commit = self.repository.commit(files)
        if not await self._has_source():
            await self.flux.create(self.name, source(self.url), kind="GitRepository")
        await self.flux.fetched(self.name, commit)
        return commit

    async def _has_source(self) -> bool:
        found, _ = await objects.list_all(
            self.client,
            self.flux.key(self.name, "GitRepository").api_version,
            "GitRepository",
            namespace=self.flux.namespace,
            field_selector=f"metadata.name={self.name}",
        )
        return bool(found)

    async def asked(self, key: ObjectKey) -> dict[str, str]:
        """What is written on an object for its agent."""
        annotations = (await objects.get(self.client, key))["metadata"].get("annotations") or {}
        return {name: value for name, value in annotations.items() if "fluxcd" in name or name == ANNOTATION}

    async def specs(self, *names: str) -> bytes:
        """Of some Kustomizations, this one's first."""
        found = [await self.flux.get(name) for name in (self.name, *names)]
        return text([one["spec"] for one in found])

    async def remove(self) -> None:
        """With all that was applied."""
        await self.flux.delete(self.parent)
        await self.flux.delete(self.name)
        await self.flux.delete(self.name, "GitRepository")
