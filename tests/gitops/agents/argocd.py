"""Argo CD's own controllers, outside the cluster and on it, with a plain git repository on the disk."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import yaml

from innerloop.cluster import compiling
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.manifest import ObjectKey
from tests.deploy.deployment import unique
from tests.gitops.agents import controllers
from tests.ports import free_port
from tests.waiting import until

BUILD = Path(__file__).parents[3] / "native/argocd/build.py"
API_VERSION = "argoproj.io/v1alpha1"
HERE = "https://kubernetes.default.svc"
"""How Argo CD calls the cluster that its own objects are in."""


def redis() -> str:
    """Path of Redis, which Debian has in redis-tools too, by another name and without a service; installed if need be.

    Argo CD's controllers keep manifests there.
    """
    for name in ("redis-server", "redis-check-rdb"):
        if found := shutil.which(name):
            return found
    command = ["apt-get", "install", "--yes", "--no-install-recommends", "redis-tools"]
    assert os.geteuid() == 0 and shutil.which("apt-get"), f"Argo CD needs Redis: {' '.join(command)}"
    for one in (["apt-get", "update"], command):
        subprocess.run(one, check=True, capture_output=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    return redis()


def compiled() -> Path:
    """The folder with the programs; compiles for minutes, once."""
    spec = importlib.util.spec_from_file_location("argocd_build", BUILD)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder: Path = module.build()
    return folder


class Repository:
    """A git repository with a folder of manifests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"file://{folder}"
        folder.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")

    def commit(self, files: dict[str, str | None]) -> str:
        """Write files (None removes one) and commit; returns the commit."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        self._git("add", "--all")
        self._git("-c", "user.name=Test", "-c", "user.email=test@example.com", "commit", "--quiet", "-m", "change")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class ArgoCD:
    """The running controllers, and the Applications that they see to."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    def key(self, name: str, kind: str = "Application") -> ObjectKey:
        return ObjectKey(API_VERSION, kind, self.namespace, name)

    async def get(self, name: str, kind: str = "Application") -> dict[str, Any]:
        return await objects.get(self.client, self.key(name, kind))

    async def create(self, name: str, spec: dict[str, Any], kind: str = "Application") -> None:
        metadata = {"name": name, "namespace": self.namespace}
        await objects.create(self.client, {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec})

    async def synced(self, name: str, revision: str = "", timeout: float = 60) -> dict[str, Any]:
        """Wait until an Application is synced, to a commit where one is named."""

        async def is_synced() -> dict[str, Any] | None:
            found = await self.get(name)
            status = found.get("status") or {}
            sync = status.get("sync") or {}
            good = sync.get("status") == "Synced" and (not revision or sync.get("revision") == revision)
            return found if good and "operation" not in found else None

        found = await until(is_synced, timeout=timeout, every=0.1, what=f"{name} is synced")
        return dict(found or {})

    async def refresh(self, name: str, kind: str = "Application") -> None:
        """Have it reconcile now, and wait until it has."""
        mark = f"argocd.argoproj.io/{'refresh' if kind == 'Application' else 'application-set-refresh'}"

        async def is_refreshed() -> bool:
            return mark not in ((await self.get(name, kind))["metadata"].get("annotations") or {})

        # it forgets what comes while it writes the object itself; the same word again would change nothing
        for value in ("normal", "hard", "normal", "hard"):
            await objects.patch(self.client, self.key(name, kind), {"metadata": {"annotations": {mark: value}}})
            with contextlib.suppress(AssertionError):
                await until(is_refreshed, timeout=5, every=0.1)
                return
        raise AssertionError(f"{name} is not refreshed")


class Addressed(Protocol):
    """A git repository, wherever it is."""

    @property
    def url(self) -> str: ...


def source(repository: Addressed, path: str, namespace: str, **policy: Any) -> dict[str, Any]:
    """The spec of an Application that keeps ``namespace`` as a folder of the repository says."""
    return {
        "project": "default",
        "source": {"repoURL": repository.url, "path": path, "targetRevision": "main"},
        "destination": {"server": HERE, "namespace": namespace},
        "syncPolicy": policy or {"automated": {"prune": True, "selfHeal": True}},
    }


@contextlib.asynccontextmanager
async def running(client: Client, kubeconfig: Path, folder: Path) -> AsyncIterator[ArgoCD]:
    """Start the controllers in a namespace of their own; ended, and it removed, at the end."""
    programs = await asyncio.to_thread(compiled)
    memory = await asyncio.to_thread(redis)
    for file in sorted((programs / "crds").iterdir()):
        definition = yaml.safe_load(file.read_text())
        await objects.apply(client, definition, manager="argocd-install", force=True)
    argo = ArgoCD(client, unique("argocd"))
    await _served(client)
    await _install(argo)
    folder.mkdir(parents=True, exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        for argv in _commands(programs, memory, kubeconfig, argo.namespace):
            await stack.enter_async_context(_process(argv, folder, kubeconfig))
        try:
            await _awake(argo)
            yield argo
        finally:
            await _uninstall(argo)


async def _served(client: Client) -> None:
    async def is_served() -> bool:
        answer = await client.request_json("GET", "/apis/argoproj.io/v1alpha1", accept="application/json, */*")
        return len(answer["resources"]) >= 3

    await until(is_served, what="Argo CD's kinds are served")


async def _awake(argo: ArgoCD) -> None:
    """Wait until it knows its project: Applications that it finds before have one that does not exist, it says."""
    nowhere = {"repoURL": "file:///nowhere", "path": ".", "targetRevision": "main"}
    destination = {"server": HERE, "namespace": "default"}
    await argo.create("probe", {"project": "default", "source": nowhere, "destination": destination})

    async def is_known() -> bool:
        conditions = ((await argo.get("probe")).get("status") or {}).get("conditions") or []
        return [one["type"] for one in conditions] == ["ComparisonError"]

    await until(is_known, timeout=60, every=0.1, what="Argo CD's controller knows its project")
    await objects.delete(argo.client, argo.key("probe"))


async def _install(argo: ArgoCD) -> None:
    """What the controllers read at their start: empty settings, a key, and the project of all Applications."""
    await objects.create(argo.client, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": argo.namespace}})
    settings = {
        "argocd-cm": {"timeout.reconciliation": "10s", "timeout.reconciliation.jitter": "0s"},
        **{f"argocd-{name}-cm": {} for name in ("cmd-params", "rbac", "ssh-known-hosts", "tls-certs")},
        "argocd-gpg-keys-cm": {},
    }
    labels = {"app.kubernetes.io/part-of": "argocd"}
    for name, data in settings.items():
        metadata = {"name": name, "namespace": argo.namespace, "labels": labels}
        await objects.create(argo.client, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "argocd-secret", "namespace": argo.namespace, "labels": labels},
        "stringData": {"server.secretkey": "only-for-tests-of-this-machine"},
    }
    await objects.create(argo.client, secret)
    everything = {
        "sourceRepos": ["*"],
        "destinations": [{"namespace": "*", "server": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
    }
    await argo.create("default", everything, kind="AppProject")


async def _uninstall(argo: ArgoCD) -> None:
    await objects.delete(argo.client, ObjectKey("v1", "Namespace", "", argo.namespace))


def _commands(programs: Path, memory: str, kubeconfig: Path, namespace: str) -> list[list[str]]:
    port, repo, *others = (str(free_port()) for _ in range(7))
    access = ["--kubeconfig", str(kubeconfig), "--namespace", namespace]
    server = f"127.0.0.1:{repo}"
    return [
        [memory, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        [
            str(programs / "argocd-repo-server"),
            *("--redis", f"127.0.0.1:{port}", "--port", repo, "--address", "127.0.0.1", "--disable-tls"),
            *("--metrics-port", others[0], "--metrics-address", "127.0.0.1"),
        ],
        [
            str(programs / "argocd-application-controller"),
            *(*access, "--redis", f"127.0.0.1:{port}", "--repo-server", server, "--repo-server-plaintext"),
            *("--metrics-port", others[1], "--app-resync", "10", "--self-heal-timeout-seconds", "1"),
            *("--status-processors", "2", "--operation-processors", "2"),
        ],
        [
            str(programs / "argocd-applicationset-controller"),
            *(*access, "--argocd-repo-server", server, "--repo-server-plaintext"),
            *("--metrics-addr", f"127.0.0.1:{others[2]}", "--probe-addr", f"127.0.0.1:{others[3]}"),
            *("--webhook-addr", f"127.0.0.1:{others[4]}"),
        ],
    ]


@contextlib.asynccontextmanager
async def _process(argv: list[str], folder: Path, kubeconfig: Path) -> AsyncIterator[None]:
    program, *arguments = argv
    name = Path(program).name.replace("redis-check-rdb", "redis-server")
    home = folder / name
    (home / ".kube").mkdir(parents=True)
    # ARGOCD_FAKE_IN_CLUSTER reads it there
    (home / ".kube/config").symlink_to(kubeconfig)
    async with controllers.running(program, arguments, home, _environment(home, kubeconfig), name=name):
        yield


def _environment(home: Path, kubeconfig: Path) -> dict[str, str]:
    users = compiling.for_users()
    return {
        "HOME": str(home),
        "KUBECONFIG": str(kubeconfig),
        "TMPDIR": str(home),
        "PATH": os.pathsep.join(filter(None, [str(users) if users else "", os.environ["PATH"]])),
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_GPG_ENABLED": "false",
        "ARGOCD_TLS_DATA_PATH": str(home),
        "ARGOCD_SSH_DATA_PATH": str(home),
        "ARGOCD_PLUGINSOCKFILEPATH": str(home),
    }
