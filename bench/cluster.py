"""The cluster that is measured on, and the programs that reach it."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from bench.measuring import command
from innerloop import cluster

REPOSITORY = Path(__file__).resolve().parents[1]
LOOP = Path(sys.executable).with_name("loop")
CONTEXT = os.environ.get("LOOP_CONTEXT", "innerloop")


def choose(folder: Path, namespace: str) -> None:
    """Have ``loop`` in this folder use the cluster that is measured on, and a namespace."""
    command([LOOP, "use", "context", CONTEXT], cwd=folder)()
    command([LOOP, "use", "namespace", namespace], cwd=folder)()


def kubectl(*arguments: str) -> Callable[[], str]:
    """kubectl on the cluster."""
    return command(kubectl_command(*arguments), env=environment())


def kubectl_command(*arguments: str) -> list[str]:
    """The built-in node's kubectl, which is of the cluster's version, else the one on PATH."""
    program = shutil.which("kubectl", path=environment()["PATH"])
    if program is None:
        raise SystemExit("kubectl is not on PATH, and no built-in node was compiled")
    return [program, "--context", CONTEXT, *arguments]


def environment() -> dict[str, str]:
    """For programs that use the cluster: its kubeconfig, and a kubectl first on PATH."""
    users = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube/config")
    return {
        "KUBECONFIG": os.pathsep.join([users, *map(str, cluster.kubeconfigs())]),
        "PATH": os.pathsep.join([str(cluster.programs() or ""), os.environ["PATH"]]),
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
