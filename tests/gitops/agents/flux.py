"""Flux's own source- and kustomize-controller, outside the cluster and on it, where their programs are on PATH."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from innerloop.deploy.readiness import wait_ready
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import NotFound
from innerloop.manifest import ObjectKey
from tests.deploy.deployment import unique
from tests.gitops.agents import controllers
from tests.ports import free_port
from tests.waiting import until

SOURCES = "source.toolkit.fluxcd.io/v1"
KUSTOMIZE = "kustomize.toolkit.fluxcd.io/v1"
API_VERSIONS = {"GitRepository": SOURCES, "Kustomization": KUSTOMIZE}
REQUESTED = "reconcile.fluxcd.io/requestedAt"
NAMES = ("source-controller", "kustomize-controller")


class Programs(NamedTuple):
    """Both controllers, and the definitions of their kinds: `config/crd/bases` of their repositories."""

    controllers: dict[str, Path]
    definitions: tuple[Path, ...]


def programs() -> Programs | None:
    """Those on PATH, with the folder `crds` beside kustomize-controller; None where something is missing."""
    found = {name: Path(path).resolve() for name in NAMES if (path := shutil.which(name))}
    if len(found) < len(NAMES):
        return None
    definitions = tuple(sorted((found["kustomize-controller"].parent / "crds").glob("*.yaml")))
    return Programs(found, definitions) if definitions else None


def need() -> None:
    """For the top of a module: skips all its tests where Flux is missing."""
    if programs() is None:
        what = "source-controller and kustomize-controller on PATH, with a folder crds beside them"
        pytest.skip(f"needs Flux: {what} (docs/truce.md tells how to make them)", allow_module_level=True)


class Flux:
    """The running controllers, and what they see to: all in one namespace, which no other controller looks at."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    def key(self, name: str, kind: str = "Kustomization") -> ObjectKey:
        return ObjectKey(API_VERSIONS[kind], kind, self.namespace, name)

    async def get(self, name: str, kind: str = "Kustomization") -> dict[str, Any]:
        return await objects.get(self.client, self.key(name, kind))

    async def create(self, name: str, spec: dict[str, Any], kind: str = "Kustomization") -> None:
        await objects.create(self.client, self.manifest(name, spec, kind))

    def manifest(self, name: str, spec: dict[str, Any], kind: str = "Kustomization") -> dict[str, Any]:
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": API_VERSIONS[kind], "kind": kind, "metadata": metadata, "spec": spec}

    async def delete(self, name: str, kind: str = "Kustomization") -> None:
        """With all that it applied, as its controller does it."""
        key = self.key(name, kind)

        async def is_gone() -> bool:
            try:
                await objects.delete(self.client, key)
            except NotFound:
                return True
            return False

        await until(is_gone, timeout=60, every=0.2, what=f"{key} is gone")

    async def reconciled(self, name: str, kind: str = "Kustomization") -> dict[str, Any]:
        """Have it reconcile once more from its beginning to its end; returns it as it is then."""
        token = datetime.now(UTC).isoformat()
        await objects.patch(self.client, self.key(name, kind), {"metadata": {"annotations": {REQUESTED: token}}})

        async def is_handled() -> dict[str, Any] | None:
            found = await self.get(name, kind)
            return found if (found.get("status") or {}).get("lastHandledReconcileAt") == token else None

        found = await until(is_handled, timeout=60, every=0.1, what=f"{name} is reconciled")
        return dict(found or {})

    async def fetched(self, name: str, commit: str) -> None:
        """Have a GitRepository look now, and wait until it has a commit."""
        await self.reconciled(name, "GitRepository")

        async def is_fetched() -> bool:
            artifact = ((await self.get(name, "GitRepository")).get("status") or {}).get("artifact") or {}
            return str(artifact.get("revision")).endswith(commit)

        # the first time that it is reconciled, it only gets its finalizer
        await until(is_fetched, timeout=60, every=0.1, what=f"{name} has {commit}")

    async def applied(self, name: str, commit: str) -> dict[str, Any]:
        """Wait until a Kustomization has applied a commit with success."""

        async def is_applied() -> dict[str, Any] | None:
            found = await self.get(name)
            revision = (found.get("status") or {}).get("lastAppliedRevision") or ""
            return found if revision.endswith(commit) else None

        found = await until(is_applied, timeout=60, every=0.1, what=f"{name} has applied {commit}")
        return dict(found or {})


def source(url: str) -> dict[str, Any]:
    """The spec of a GitRepository."""
    return {"url": url, "ref": {"branch": "main"}, "interval": "1h"}


def kustomization(repository: str, path: str, namespace: str, **spec: Any) -> dict[str, Any]:
    """The spec of a Kustomization that keeps ``namespace`` as a folder of a GitRepository says."""
    return {
        "sourceRef": {"kind": "GitRepository", "name": repository},
        "path": path,
        "targetNamespace": namespace,
        "interval": "2s",
        "retryInterval": "2s",
        "prune": True,
        **spec,
    }


@contextlib.asynccontextmanager
async def running(client: Client, kubeconfig: Path, folder: Path, found: Programs) -> AsyncIterator[Flux]:
    """Start the controllers for a namespace of their own; ended, and it removed, at the end."""
    keys = []
    for file in found.definitions:
        definition = yaml.safe_load(file.read_text())
        await objects.apply(client, definition, manager="flux-install", force=True)
        keys.append(ObjectKey(definition["apiVersion"], definition["kind"], "", definition["metadata"]["name"]))
    await wait_ready(client, keys, emit=lambda event: None, timeout=30)
    flux = Flux(client, unique("flux"))
    home = ObjectKey("v1", "Namespace", "", flux.namespace)
    await objects.create(client, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": flux.namespace}})
    try:
        async with contextlib.AsyncExitStack() as stack:
            for name, arguments in _arguments(folder).items():
                process = _process(found.controllers[name], arguments, folder, kubeconfig, flux.namespace)
                await stack.enter_async_context(process)
            yield flux
            await _emptied(flux)
    finally:
        await objects.delete(client, home)


async def _emptied(flux: Flux) -> None:
    """Their objects go only while the controllers run."""
    for kind, api_version in reversed(API_VERSIONS.items()):
        left, _ = await objects.list_all(flux.client, api_version, kind, namespace=flux.namespace)
        for one in left:
            await flux.delete(one["metadata"]["name"], kind)


def _arguments(folder: Path) -> dict[str, list[str]]:
    artifacts, *ports = (f"127.0.0.1:{free_port()}" for _ in range(5))
    storage = folder / "artifacts"
    storage.mkdir(parents=True)
    return {
        "source-controller": [
            *("--storage-path", str(storage), "--storage-addr", artifacts, "--storage-adv-addr", artifacts),
            *("--metrics-addr", ports[0], "--health-addr", ports[1]),
        ],
        "kustomize-controller": ["--metrics-addr", ports[2], "--health-addr", ports[3]],
    }


@contextlib.asynccontextmanager
async def _process(
    program: Path, arguments: list[str], folder: Path, kubeconfig: Path, namespace: str
) -> AsyncIterator[None]:
    home = folder / program.name
    home.mkdir()
    environment = {"KUBECONFIG": str(kubeconfig), "RUNTIME_NAMESPACE": namespace, "TMPDIR": str(home)}
    everything = ["--watch-all-namespaces=false", *arguments]
    async with controllers.running(str(program), everything, home, environment):
        yield
