"""Removing all that a project has in the cluster, as its inventory lists it.

May be interrupted and repeated at any point: what is not known to be gone stays listed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from innerloop.deploy import inventory, namespaces, sharing
from innerloop.deploy.claims import claim_names, kept_claims
from innerloop.deploy.contents import strays
from innerloop.deploy.identity import Owner, identify
from innerloop.deploy.inventory import Stored
from innerloop.deploy.records import Inventory
from innerloop.deploy.removing import Left, Removed, remove
from innerloop.events import Emit, Notice, StepProgress, reported
from innerloop.kube.client import Client
from innerloop.manifest import ObjectKey

PURGE_SECONDS = 120.0


class Purged(msgspec.Struct, frozen=True):
    deleted: tuple[ObjectKey, ...]
    left: tuple[Left, ...]

    @property
    def summary(self) -> str:
        if not self.deleted and not self.left:
            return "nothing there"
        volumes = sum(key.kind == "PersistentVolumeClaim" for key in self.deleted)
        told = [f"{len(self.deleted)} {'object' if len(self.deleted) == 1 else 'objects'} removed"]
        told += [f"with the data of {volumes} volume {'claim' if volumes == 1 else 'claims'}"] if volumes else []
        told += [f"{len(self.left)} left"] if self.left else []
        return ", ".join(told)


async def purge(
    client: Client,
    *,
    project: str,
    namespace: str,
    emit: Emit,
    step: str = "purge",
    folder: Path | None = None,
    take_over: bool = False,
    timeout: float = PURGE_SECONDS,
) -> Purged:
    """Remove what the project's inventory lists as ours, in reverse order, and wait until it is gone.

    What stays is told with the reason, in the result and as Notices: what was there before, what others use too or
    have replaced, what we may not remove, what was not gone after ``timeout`` seconds. The namespace goes when we
    made it and nothing else is in it. Without an inventory, what carries our label outside the namespace is removed.
    Raises ForeignInventory, ApiError, ConnectionFailed.
    """
    with reported(emit, step, f"purge {project}") as outcome:

        def tell(message: str) -> None:
            emit(StepProgress(step=step, message=message))

        run = _Run(client, project, namespace, await identify(folder or Path.cwd()), timeout, tell)
        purged = await run.purge(await inventory.read(client, project, namespace), take_over=take_over)
        for left in purged.left:
            emit(Notice(level="info", message=f"left {left.key}: {left.why}"))
        outcome.summary = purged.summary
    return purged


class _Run:
    """One purge."""

    def __init__(
        self, client: Client, project: str, namespace: str, owner: Owner, timeout: float, tell: Callable[[str], None]
    ) -> None:
        self._client = client
        self._project = project
        self._namespace = namespace
        self._owner = owner
        self._timeout = timeout
        self._tell = tell
        self._ours = sharing.share(project, namespace)

    async def purge(self, stored: Stored | None, *, take_over: bool) -> Purged:
        if stored:
            inventory.check_owner(stored.inventory, self._owner, take_over=take_over)
        entries = {entry.identity: entry for entry in await strays(self._client, self._ours)}
        entries |= stored.inventory.entries if stored else {}
        own = namespaces.key_of(self._namespace)
        entries = {identity: entry for identity, entry in entries.items() if entry.key != own}
        made_claims = await claim_names(self._client, [entry.key for entry in entries.values()])
        removed = await remove(
            self._client,
            entries.values(),
            project=self._project,
            namespace=self._namespace,
            propagation="Foreground",
            timeout=self._timeout,
            tell=self._tell,
        )
        claims = await kept_claims(self._client, made_claims) if made_claims else {}
        if any(left.listed for left in removed.left):
            await self._keep(stored, removed, take_over=take_over)
            return Purged(tuple(removed.deleted), (*removed.left, *_told(claims)))
        return await self._finish(stored, removed, claims)

    async def _keep(self, stored: Stored | None, removed: Removed, *, take_over: bool) -> None:
        """Some objects are still there: the inventory goes on listing them."""
        if stored is None:
            return  # those carry our label: the next purge finds them as this one did

        def change(current: Inventory) -> Inventory:
            return current.without(removed.gone)

        await inventory.update(
            self._client,
            self._project,
            self._namespace,
            change,
            owner=self._owner,
            known=stored,
            take_over=take_over,
        )

    async def _finish(self, stored: Stored | None, removed: Removed, claims: dict[ObjectKey, ObjectKey]) -> Purged:
        """Nothing is there any more that the inventory has to list: it goes, and the namespace if that is ours."""
        stays = await namespaces.dissolve(
            self._client,
            self._namespace,
            self._ours,
            claims=claims,
            project=self._project,
            timeout=self._timeout,
            tell=self._tell,
        )
        key = namespaces.key_of(self._namespace)
        if stays is None:
            return Purged((*removed.deleted, *claims, key), tuple(removed.left))
        if stored:
            # when another session writes to it at this moment, it lists what is that session's
            await inventory.delete(self._client, stored)
        left = [*removed.left, *_told(claims)]
        return Purged(tuple(removed.deleted), (*left, Left(key, stays)) if stays else tuple(left))


def _told(claims: dict[ObjectKey, ObjectKey]) -> list[Left]:
    return [
        Left(
            claim,
            f"it holds the data of {owner}; it goes with: kubectl delete pvc {claim.name} -n {claim.namespace}",
        )
        for claim, owner in claims.items()
    ]
