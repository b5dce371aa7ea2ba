"""Keys, certificates and kubeconfigs of a built-in cluster, made once by the keeper program (Go's crypto/x509)."""

from __future__ import annotations

import base64
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec

from innerloop import processes
from innerloop.cluster.builtin.addresses import Addresses
from innerloop.storage import write_whole

_CLIENTS = {
    "admin": "innerloop-admin",
    "apiserver-kubelet-client": "kube-apiserver-kubelet-client",
    "controller-manager": "system:kube-controller-manager",
    "scheduler": "system:kube-scheduler",
    "proxy": "system:kube-proxy",
    "coredns": "system:coredns",
}
"""User of each client. All are in a group with all rights: who depends on the bootstrap roles is refused until the
API server has made them, and then waits for seconds before it asks again."""
_WITH_KUBECONFIG = ("controller-manager", "scheduler", "proxy", "coredns", "kubelet")
LOCAL_SERVER = "https://127.0.0.1:6443"
"""For the components, which share the API server's network namespace."""


async def make(keeper: Path, folder: Path, *, name: str, context: str, addresses: Addresses) -> None:
    """Make everything in ``folder/pki`` and ``folder/kubeconfig`` unless it is there already."""
    pki = folder / "pki"
    if not pki.exists():
        temporary = folder / ".pki"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(mode=0o700)
        specification = msgspec.json.encode(_specification(name, addresses))
        await processes.run([str(keeper), "pki", str(temporary)], input=specification)
        for client in _WITH_KUBECONFIG:
            config = _kubeconfig(temporary, client, name, LOCAL_SERVER)
            write_whole(temporary / f"{client}.kubeconfig", config)
        # whole or not at all: half a set of certificates would be taken for a whole one
        os.rename(temporary, pki)
    server = f"https://{addresses.node}:6443"
    write_whole(folder / "kubeconfig", _kubeconfig(pki, "admin", context, server))


def _specification(name: str, addresses: Addresses) -> dict[str, Any]:
    certificates: list[dict[str, Any]] = [
        {"name": client, "authority": "ca", "common_name": user, "organization": ["system:masters"]}
        for client, user in _CLIENTS.items()
    ]
    certificates += [
        {
            "name": "kubelet",
            "authority": "ca",
            "common_name": f"system:node:{name}",
            "organization": ["system:nodes"],
            "addresses": [str(addresses.node), "127.0.0.1"],
            "names": [name],
        },
        {
            "name": "apiserver",
            "authority": "ca",
            "common_name": "kube-apiserver",
            "addresses": [str(addresses.node), str(addresses.api_service), "127.0.0.1"],
            "names": [
                "localhost",
                name,
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
            ],
        },
        {"name": "front-proxy-client", "authority": "front-proxy-ca", "common_name": "front-proxy-client"},
    ]
    return {
        "authorities": ["ca", "front-proxy-ca"],
        "keys": ["service-account"],
        "certificates": certificates,
    }


def _kubeconfig(pki: Path, client: str, context: str, server: str) -> bytes:
    def data(file: str) -> str:
        return base64.b64encode((pki / file).read_bytes()).decode()

    user = {"client-certificate-data": data(f"{client}.crt"), "client-key-data": data(f"{client}.key")}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": {"server": server, "certificate-authority-data": data("ca.crt")}}],
        "users": [{"name": context, "user": user}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        "current-context": context,
    }
    # JSON is YAML
    return msgspec.json.format(msgspec.json.encode(config)) + b"\n"
