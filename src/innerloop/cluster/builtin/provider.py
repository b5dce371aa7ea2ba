"""The built-in cluster as a provider."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from innerloop.cluster import records
from innerloop.cluster.provider import Status
from innerloop.cluster.records import ProviderName
from innerloop.events import Emit, StepProgress, reported

# imports inside: every session asks for the provider of its context, few make or remove a cluster


class BuiltIn(msgspec.Struct, frozen=True):
    name: str

    @property
    def kind(self) -> ProviderName:
        return "built-in"

    @property
    def context(self) -> str:
        return self.name if self.name.startswith(records.DEFAULT_NAME) else f"{records.DEFAULT_NAME}-{self.name}"

    @property
    def kubeconfig(self) -> Path:
        return records.kubeconfig_of(self.name)

    async def up(self, emit: Emit, *, install: bool = False) -> None:
        from innerloop.cluster.builtin import starting

        await starting.up(self.name, context=self.context, install=install, emit=emit)

    async def down(self, emit: Emit) -> None:
        from innerloop.cluster.builtin import machine, stopping

        machine.check_possible()
        step = "cluster/down"
        with reported(emit, step, f"remove cluster {self.name}"):

            def waiting() -> None:
                emit(StepProgress(step=step, message="another process works on this cluster: waiting for that"))

            async with records.locked(self.name, waiting):
                await stopping.remove(self.name)

    async def status(self) -> Status:
        from innerloop.cluster.builtin import health

        return await health.status(self.name)

    async def load(self, images: Sequence[str], emit: Emit) -> None:
        from innerloop.cluster.builtin import loading

        await loading.load(self.name, images, emit)
