"""What every provider of local clusters can do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from innerloop.cluster.records import ProviderName
from innerloop.events import Emit


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    message: str
    detail: str = ""
    hint: str = ""


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """A process of a built-in cluster."""

    name: str
    state: str
    """``running``, ``waiting`` or ``ended``."""
    since: float
    """Seconds since the epoch."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    provider: ProviderName
    name: str
    state: Literal["running", "degraded", "stopped", "absent"]
    context: str = ""
    kubeconfig: Path | None = None
    registry: str = ""
    """``host:port`` at which this machine pushes; empty when the provider has none."""
    components: tuple[Component, ...] = ()
    problems: tuple[Problem, ...] = ()


class Provider(Protocol):
    """One cluster by one provider."""

    @property
    def kind(self) -> ProviderName: ...

    @property
    def name(self) -> str: ...

    @property
    def context(self) -> str:
        """Name of its context in its kubeconfig."""
        ...

    async def up(self, emit: Emit, *, install: bool = False) -> None:
        """Make the cluster, or start it, or mend it; ready when this returns. Raises LoopError."""
        ...

    async def down(self, emit: Emit) -> None:
        """Remove it without a trace, whatever state it is in. Raises LoopError."""
        ...

    async def status(self) -> Status: ...

    async def load(self, images: Sequence[str], emit: Emit) -> None:
        """Have images in the cluster under their names: of docker, of buildah, or files (``.tar``)."""
        ...
