"""Applying a project's manifests: intent into the inventory, objects in order, result into the inventory, prune.

See docs/deploying.md for what is promised. At any moment every object that we made is listed, so that an
interrupted run needs no cleaning up: the next ``apply`` or ``purge`` goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from innerloop.deploy import inventory, namespaces, sharing
from innerloop.deploy.identity import Owner, identify
from innerloop.deploy.intentions import Intention, check_neighbours, intend
from innerloop.deploy.inventory import Stored
from innerloop.deploy.ordering import Phase
from innerloop.deploy.phases import Outcome, Scope, apply_phase, await_served
from innerloop.deploy.planning import Planned, plan
from innerloop.deploy.records import Entry, Identity, Inventory
from innerloop.deploy.refusals import summed_up
from innerloop.deploy.removing import Left, Removed, remove
from innerloop.events import Emit, Notice, StepProgress, reported
from innerloop.kube.client import Client
from innerloop.manifest import Manifest, ObjectKey

PRUNE_SECONDS = 10.0
"""What is still being deleted then stays listed, and the next run sees to it."""


class Applied(msgspec.Struct, frozen=True):
    """What an apply did; keys have their namespaces."""

    keys: tuple[ObjectKey, ...]
    created: tuple[ObjectKey, ...]
    changed: tuple[ObjectKey, ...]
    """Whose manifest is another than the one applied last."""
    pruned: tuple[ObjectKey, ...]
    left: tuple[Left, ...]
    """What a former apply had and this one has not, but was not removed."""
    namespace_created: bool

    @property
    def unchanged(self) -> tuple[ObjectKey, ...]:
        touched = {*self.created, *self.changed}
        return tuple(key for key in self.keys if key not in touched)

    @property
    def summary(self) -> str:
        counts = {"created": self.created, "changed": self.changed, "removed": self.pruned}
        told = [f"{len(keys)} {word}" for word, keys in counts.items() if keys]
        objects = f"{len(self.keys)} {'object' if len(self.keys) == 1 else 'objects'}"
        return ", ".join([objects, *(told or ["unchanged"])])


async def apply(
    client: Client,
    manifests: Iterable[Manifest],
    *,
    project: str,
    namespace: str,
    emit: Emit,
    step: str = "apply",
    folder: Path | None = None,
    force: bool = False,
    over: frozenset[str] = frozenset(),
    prune: bool = True,
    take_over: bool = False,
) -> Applied:
    """Make the cluster have what the manifests ask for, and remove what a former apply of the project had besides.

    ``namespace`` is made when it is missing, and is for objects that name none. ``folder`` is the project's, by
    default the current one: it tells whose deployment this is. ``force`` takes fields over from all other managers,
    ``over`` from some, ``take_over`` the inventory of another project of the same name. Without ``prune`` nothing is
    removed.

    Raises LoopError when manifests can't be applied (nothing is changed then), or some objects were refused (all
    others of their phase and the phases before are applied); ApiError, ConnectionFailed.
    """
    with reported(emit, step, f"apply {project}") as outcome:
        run = _Run(client, project, namespace, emit, step, await identify(folder or Path.cwd()), take_over=take_over)
        applied = await run.apply(await plan(client, manifests, namespace), force=force, over=over, prune=prune)
        outcome.summary = applied.summary
    return applied


class _Run:
    """One apply; keeps what is known of the inventory meanwhile."""

    def __init__(
        self, client: Client, project: str, namespace: str, emit: Emit, step: str, owner: Owner, *, take_over: bool
    ) -> None:
        self._client = client
        self._project = project
        self._namespace = namespace
        self._emit = emit
        self._step = step
        self._owner = owner
        self._take_over = take_over
        self._ours = sharing.share(project, namespace)
        self._stored: Stored | None = None

    async def apply(self, planned: list[Planned], *, force: bool, over: frozenset[str], prune: bool) -> Applied:
        ensured = await namespaces.ensure(self._client, self._namespace, self._ours, self._tell)
        before = await self._read(planned)
        known = dict(before.entries) if before else {}
        intentions = await intend(self._client, planned, known, self._namespace, self._ours)
        intentions = await self._announce(intentions, ensured.entry)
        outcomes = await self._apply_all(intentions, force=force, over=over)
        listed = {one.identity for one in planned}
        gone = [entry for entry in known.values() if prune and _is_prunable(entry, listed)]
        removed = await self._remove(gone)
        await self._record([one.entry for one in outcomes], without=removed.gone)
        return Applied(
            keys=tuple(one.key for one in planned),
            created=tuple(one.entry.key for one in outcomes if one.created),
            changed=tuple(one.entry.key for one in outcomes if one.changed),
            pruned=tuple(removed.deleted),
            left=tuple(removed.left),
            namespace_created=ensured.made,
        )

    async def _read(self, planned: list[Planned]) -> Inventory | None:
        found = await inventory.read_all(self._client, self._namespace)
        self._stored = next((one for one in found if one.inventory.project == self._project), None)
        if self._stored:
            inventory.check_owner(self._stored.inventory, self._owner, take_over=self._take_over)
        neighbours = [one.inventory for one in found if one is not self._stored]
        check_neighbours(planned, self._namespace, neighbours)
        return self._stored.inventory if self._stored else None

    async def _record(self, entries: Iterable[Entry], without: Iterable[Entry] = ()) -> None:
        base = self._stored.inventory if self._stored else None

        def change(current: Inventory) -> Inventory:
            return current.without(without).merged(entries, base)

        self._stored = await inventory.update(
            self._client,
            self._project,
            self._namespace,
            change,
            owner=self._owner,
            known=self._stored,
            take_over=self._take_over,
        )

    async def _announce(self, intentions: list[Intention], namespace: Entry | None = None) -> list[Intention]:
        """Write intentions, and the namespace if it is ours, into the inventory; returns them as they are there."""
        await self._record(([namespace] if namespace else []) + [one.entry for one in intentions])
        assert self._stored is not None
        entries = self._stored.inventory.entries
        return [one._replace(entry=entries[one.planned.identity]) for one in intentions]

    async def _apply_all(self, intentions: list[Intention], *, force: bool, over: frozenset[str]) -> list[Outcome]:
        scope = Scope(self._client, self._namespace, self._ours, force, over, self._tell, self._announce)
        outcomes: list[Outcome] = []
        for phase in Phase:
            group = [one for one in intentions if one.planned.phase is phase]
            if not group:
                continue
            self._tell(f"{len(outcomes)} of {len(intentions)} objects")
            done, refused = await apply_phase(scope, group)
            outcomes += done
            if refused:
                await self._record([one.entry for one in outcomes])
                raise summed_up(refused, len(intentions))
            if phase is Phase.DEFINITIONS:
                kinds = {(one.planned.key.api_version, one.planned.key.kind) for one in intentions}
                await await_served(scope, group, kinds)
        return outcomes

    async def _remove(self, entries: list[Entry]) -> Removed:
        removed = await remove(
            self._client,
            entries,
            project=self._project,
            namespace=self._namespace,
            propagation="Background",
            timeout=PRUNE_SECONDS,
            tell=self._tell,
        )
        for left in removed.left:
            self._emit(Notice(level="warning", message=f"{left.key} is no longer deployed, but stays: {left.why}"))
        return removed

    def _tell(self, message: str) -> None:
        self._emit(StepProgress(step=self._step, message=message))


def _is_prunable(entry: Entry, listed: set[Identity]) -> bool:
    # a namespace holds more than what we put there: only a purge removes it
    return entry.identity not in listed and (entry.key.group, entry.key.kind) != ("", "Namespace")
