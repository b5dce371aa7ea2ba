"""Which provider a cluster has, or gets."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from innerloop import processes
from innerloop.cluster import records
from innerloop.cluster.builtin.provider import BuiltIn
from innerloop.cluster.external import External, ExternalKind
from innerloop.cluster.provider import Provider
from innerloop.cluster.records import ProviderName
from innerloop.errors import LoopError
from innerloop.events import Emit, Notice

EXTERNAL: tuple[ExternalKind, ...] = ("kind", "k3d", "minikube")
PROVIDERS: tuple[ProviderName, ...] = (*EXTERNAL, "built-in")
ENGINE_SECONDS = 5.0

_ENGINES: dict[ExternalKind, tuple[str, ...]] = {"kind": ("docker", "podman", "nerdctl"), "k3d": ("docker", "podman")}


def provider_of(context: str) -> Provider | None:
    """The provider of a context of the kubeconfig, None when it is no local cluster that we can load images into."""
    for record in records.read_all():
        if record.context == context:
            return of_kind(record.provider, record.name)
    for kind in EXTERNAL[:2]:
        prefix, _, name = context.partition("-")
        if prefix == kind and name and shutil.which(kind):
            return External(kind, name)
    if context and _minikube_profile(context).exists() and shutil.which("minikube"):
        return External("minikube", context)
    return None


def of_kind(kind: ProviderName, name: str) -> Provider:
    return BuiltIn(name) if kind == "built-in" else External(kind, name)


async def for_up(name: str, wanted: ProviderName | None, emit: Emit) -> Provider:
    """The provider of an existing cluster, else the wanted one, else the first that works on this machine.

    Raises LoopError when the cluster exists with another provider than the wanted one.
    """
    record = records.read(name)
    if record is not None:
        if wanted not in (None, record.provider):
            raise LoopError(
                f"cluster {name} exists already, made with {record.provider}",
                hint=f"choose another name, or remove it: loop cluster down {name}",
            )
        return of_kind(record.provider, name)
    if wanted is not None:
        return of_kind(wanted, name)
    for kind in EXTERNAL:
        if shutil.which(kind) is None:
            continue
        if await _engine_answers(kind):
            return External(kind, name)
        emit(Notice(level="info", message=f"{kind} is installed, but no container engine answers: not used"))
    return BuiltIn(name)


async def for_down(name: str) -> Provider:
    """The provider to remove a cluster with; without a record, whoever knows it, at last the built-in one."""
    try:
        record = records.read(name)
    except LoopError:
        # unreadable: only the built-in cluster needs its record so little that it can be removed without
        record = None
    if record is not None:
        return of_kind(record.provider, name)
    if not records.folder_of(name).exists():
        for kind in EXTERNAL:
            external = External(kind, name)
            if shutil.which(kind) and await _engine_answers(kind) and await external.exists():
                return external
    return BuiltIn(name)


async def _engine_answers(kind: ExternalKind) -> bool:
    """Whether what the provider runs its nodes in is there; minikube finds out by itself."""
    engines = _ENGINES.get(kind)
    if engines is None:
        return True
    for engine in filter(shutil.which, engines):
        try:
            async with asyncio.timeout(ENGINE_SECONDS):
                if (await processes.run([engine, "info"], check=False)).code == 0:
                    return True
        except TimeoutError:
            continue
    return False


def _minikube_profile(name: str) -> Path:
    home = Path(os.environ.get("MINIKUBE_HOME") or Path.home())
    folder = home if home.name == ".minikube" else home / ".minikube"
    return folder / "profiles" / name / "config.json"
