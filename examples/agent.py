"""Argo CD's own controllers as the agent of the demonstration: outside the cluster, by the cluster's kubeconfig."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BUILD = Path(__file__).resolve().parents[1] / "native/argocd/build.py"
NAMESPACE = "argocd-demo"
KIND = "applications.argoproj.io"
HEALTHY_INGRESS = 'return {status = "Healthy"}'
"""An Ingress counts as well once a controller has given it an address, and this cluster has no such controller."""
INSTALL_REDIS = ["apt-get", "install", "--yes", "--no-install-recommends", "redis-tools"]


class Missing(Exception):
    """Something that the controllers need is not on this machine."""


class Agent:
    """The running controllers."""

    def __init__(self, kubectl: list[str]) -> None:
        self._kubectl = kubectl

    def follow(self, name: str, source: tuple[str, str, str], namespace: str) -> None:
        """Have it keep ``namespace`` as a repository says, on a branch, in a folder."""
        repository, branch, path = source
        spec = {
            "project": "default",
            "source": {"repoURL": repository, "path": path, "targetRevision": branch},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True, "allowEmpty": True}},
        }
        apply(self._kubectl, [_object("argoproj.io/v1alpha1", "Application", name, spec=spec)])

    def refresh(self, name: str) -> None:
        """Have it look at the repository now."""
        mark = "argocd.argoproj.io/refresh=normal"
        run([*self._kubectl, "-n", NAMESPACE, "annotate", "--overwrite", KIND, name, mark])


@contextlib.contextmanager
def running(kubectl: list[str], kubeconfig: Path, folder: Path) -> Iterator[Agent]:
    """Start the controllers, with their files and logs in ``folder``; they and all that they have in the cluster but
    the definitions of their kinds are gone at the end. Raises Missing."""
    programs, redis = _compiled(), _redis()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in sorted((programs / "crds").iterdir()):
        run([*kubectl, "apply", "--server-side", "--force-conflicts", "-f", str(file)])
    run([*kubectl, "wait", "--for=condition=Established", "--timeout=30s", f"crd/{KIND}"])
    apply(kubectl, _settings())
    with contextlib.ExitStack() as stack:
        stack.callback(run, [*kubectl, "delete", "namespace", NAMESPACE, "--wait=false"])
        for argv in _commands(programs, redis, kubeconfig):
            stack.enter_context(_process(argv, folder, kubeconfig))
        yield Agent(kubectl)


def apply(kubectl: list[str], objects: list[dict[str, Any]]) -> None:
    items = {"apiVersion": "v1", "kind": "List", "items": objects}
    argv = [*kubectl, "apply", "--server-side", "-f", "-"]
    subprocess.run(argv, input=json.dumps(items), check=True, stdout=subprocess.DEVNULL, text=True)


def run(argv: list[str]) -> str:
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


def _settings() -> list[dict[str, Any]]:
    """What the controllers read at their start: hardly any settings, a key, and the project of all Applications."""
    maps: dict[str, dict[str, str]] = {
        "argocd-cm": {
            "timeout.reconciliation": "10s",
            "timeout.reconciliation.jitter": "0s",
            "resource.customizations.health.networking.k8s.io_Ingress": HEALTHY_INGRESS,
        },
        **{f"argocd-{name}-cm": {} for name in ("cmd-params", "rbac", "ssh-known-hosts", "tls-certs", "gpg-keys")},
    }
    everything = {
        "sourceRepos": ["*"],
        "destinations": [{"namespace": "*", "server": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        *(_object("v1", "ConfigMap", name, data=data) for name, data in maps.items()),
        _object("v1", "Secret", "argocd-secret", stringData={"server.secretkey": "only-for-this-demonstration"}),
        _object("argoproj.io/v1alpha1", "AppProject", "default", spec=everything),
    ]


def _object(api_version: str, kind: str, name: str, **content: Any) -> dict[str, Any]:
    labels = {"app.kubernetes.io/part-of": "argocd"}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def _compiled() -> Path:
    """The folder with the programs; compiles for minutes, once."""
    if not shutil.which("go"):
        raise Missing("Argo CD's controllers are compiled from their Go module, and go is not on PATH")
    spec = importlib.util.spec_from_file_location("argocd_build", BUILD)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder: Path = module.build()
    return folder


def _redis() -> str:
    """Path of Redis, which Debian has in redis-tools too, by another name and without a service."""
    for name in ("redis-server", "redis-check-rdb"):
        if found := shutil.which(name):
            return found
    if os.geteuid() or not shutil.which("apt-get"):
        raise Missing("Argo CD needs Redis, and redis-server is not on PATH")
    for command in (["apt-get", "update"], INSTALL_REDIS):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return _redis()


def _commands(programs: Path, redis: str, kubeconfig: Path) -> list[list[str]]:
    port, server, *metrics = (str(_free_port()) for _ in range(4))
    local = ("--redis", f"127.0.0.1:{port}")
    return [
        [redis, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        [
            str(programs / "argocd-repo-server"),
            *(*local, "--port", server, "--address", "127.0.0.1", "--disable-tls"),
            *("--metrics-port", metrics[0], "--metrics-address", "127.0.0.1"),
        ],
        [
            str(programs / "argocd-application-controller"),
            *("--kubeconfig", str(kubeconfig), "--namespace", NAMESPACE, *local),
            *("--repo-server", f"127.0.0.1:{server}", "--repo-server-plaintext"),
            *("--metrics-port", metrics[1], "--app-resync", "10", "--self-heal-timeout-seconds", "1"),
        ],
    ]


@contextlib.contextmanager
def _process(argv: list[str], folder: Path, kubeconfig: Path) -> Iterator[None]:
    program, *arguments = argv
    name = Path(program).name.replace("redis-check-rdb", "redis-server")
    home = folder / name
    (home / ".kube").mkdir(parents=True)
    # what makes the controllers believe that they run in the cluster reads it there
    (home / ".kube/config").symlink_to(kubeconfig)
    own = ("ARGOCD_TLS_DATA_PATH", "ARGOCD_SSH_DATA_PATH", "ARGOCD_PLUGINSOCKFILEPATH", "HOME", "TMPDIR")
    environment = {
        **os.environ,
        **dict.fromkeys(own, str(home)),
        "KUBECONFIG": str(kubeconfig),
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_GPG_ENABLED": "false",
    }
    with (folder / f"{name}.log").open("wb") as log:
        # its name tells the one program which of the controllers it is
        process = subprocess.Popen(
            [name, *arguments],
            executable=program,
            cwd=home,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
