"""The components of a cluster and how each is started: the plan for the keeper."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from innerloop.cluster.builtin.addresses import Addresses
from innerloop.cluster.builtin.configuration import BIN, CONTAINERD_SOCKET, ETC, PKI, REGISTRY_PORT
from innerloop.cluster.builtin.machine import SYSTEM_PATH, required
from innerloop.storage import write_whole

NAMES = (
    "etcd",
    "containerd",
    "registry",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "coredns",
)

_FIRST = ("etcd", "kube-apiserver", "kubelet")
"""Those that must get their turn while hundreds of pods start, or the node counts as lost and its pods as failed."""

_API = "127.0.0.1:6443"
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")

# the kubelet writes these when they differ, although a panicking laptop helps nobody (container_manager_linux.go, 1.36)
_KUBELET_SYSCTLS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def write_plan(
    folder: Path,
    *,
    name: str,
    programs: Path,
    addresses: Addresses,
    registry_port: int,
    cgroups: Iterable[tuple[Path, Path]],
) -> None:
    """Write ``folder/plan.json``; the form is that of ``Plan`` in ``native/node/keeper/main.go``."""
    plan = {
        "hostname": name,
        "cgroups": [{"source": str(group), "target": str(mount)} for group, mount in cgroups],
        "binds": [
            {"source": str(folder), "target": "/run/innerloop/state"},
            {"source": str(programs), "target": BIN},
            # whatever a component, plugin or volume writes to its usual place lands in the cluster's folder
            {"source": str(folder / "var/lib"), "target": "/var/lib"},
            {"source": str(folder / "var/log"), "target": "/var/log"},
            {"source": str(folder / "tmp"), "target": "/tmp"},
        ],
        "sysctls": {"net/ipv4/ip_forward": "1"},
        "shown": _KUBELET_SYSCTLS,
        "components": _components(name, addresses, registry_port),
    }
    for place in ("var/lib/containerd", "var/lib/kubelet", "var/log", "log", "tmp"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    (folder / "tmp").chmod(0o1777)
    write_whole(folder / "plan.json", msgspec.json.format(msgspec.json.encode(plan)))


def _components(name: str, addresses: Addresses, registry_port: int) -> list[dict[str, Any]]:
    return [
        _component("etcd", _etcd()),
        {
            **_component("containerd", [required("containerd"), "--config", f"{ETC}/containerd.toml"]),
            "env": _environment(_proxies(addresses)),
        },
        {
            **_component("registry", _registry()),
            "listen": f"127.0.0.1:{registry_port}",
        },
        _component("kube-apiserver", _apiserver(addresses)),
        _component("kube-controller-manager", _controller_manager(addresses), after=_API),
        _component("kube-scheduler", [f"{BIN}/kube-scheduler", f"--config={ETC}/scheduler.yaml"], after=_API),
        {
            **_component("kubelet", _kubelet(name, addresses), after=_API),
            "env": _environment({"CONTAINER_RUNTIME_ENDPOINT": f"unix://{CONTAINERD_SOCKET}"}),
        },
        _component("kube-proxy", _proxy(name, addresses), after=_API),
        _component("coredns", [f"{BIN}/coredns", "-conf", f"{ETC}/Corefile"], after=_API),
    ]


def _component(name: str, argv: list[str], after: str = "") -> dict[str, Any]:
    if name in _FIRST:
        argv = [required("nice"), "-n", "-10", *argv]
    return {"name": name, "argv": argv, "env": _environment({}), "after": after}


def _environment(extra: dict[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in {"PATH": SYSTEM_PATH, "HOME": "/root", **extra}.items()]


def _proxies(addresses: Addresses) -> dict[str, str]:
    """The user's way to the registries of the Internet."""
    given = {name: os.environ[name] for name in _PROXY_VARIABLES if os.environ.get(name)}
    if not given:
        return {}
    exceptions = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    return {**given, "NO_PROXY": ",".join(filter(None, (exceptions, str(addresses.block), "localhost,127.0.0.0/8")))}


def _etcd() -> list[str]:
    return [
        f"{BIN}/etcd",
        "--data-dir=/var/lib/etcd",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        # one member elects itself: no reason to wait a second for others
        "--heartbeat-interval=50",
        "--election-timeout=250",
        "--log-level=warn",
        "--unsafe-no-fsync",
    ]


def _registry() -> list[str]:
    return [f"{BIN}/registry", "--root=/var/lib/registry", f"--listen=:{REGISTRY_PORT}"]


def _apiserver(addresses: Addresses) -> list[str]:
    return [
        f"{BIN}/kube-apiserver",
        "--etcd-servers=http://127.0.0.1:2379",
        "--bind-address=0.0.0.0",
        f"--advertise-address={addresses.node}",
        "--secure-port=6443",
        f"--tls-cert-file={PKI}/apiserver.crt",
        f"--tls-private-key-file={PKI}/apiserver.key",
        f"--client-ca-file={PKI}/ca.crt",
        f"--kubelet-certificate-authority={PKI}/ca.crt",
        f"--kubelet-client-certificate={PKI}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={PKI}/apiserver-kubelet-client.key",
        # no name server knows the node's name
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={PKI}/service-account.pub",
        f"--service-account-signing-key-file={PKI}/service-account.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-cluster-ip-range={addresses.services}",
        f"--requestheader-client-ca-file={PKI}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={PKI}/front-proxy-client.crt",
        f"--proxy-client-key-file={PKI}/front-proxy-client.key",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
    ]


def _controller_manager(addresses: Addresses) -> list[str]:
    return [
        f"{BIN}/kube-controller-manager",
        f"--kubeconfig={PKI}/controller-manager.kubeconfig",
        f"--service-account-private-key-file={PKI}/service-account.key",
        f"--root-ca-file={PKI}/ca.crt",
        f"--cluster-signing-cert-file={PKI}/ca.crt",
        f"--cluster-signing-key-file={PKI}/ca.key",
        "--leader-elect=false",
        f"--cluster-cidr={addresses.pods}",
        "--allocate-node-cidrs=false",
        # PersistentVolumeClaims get folders below the node's /tmp, which are in the cluster's folder
        "--enable-hostpath-provisioner=true",
        # the defaults spare a large control plane; here hundreds of Deployments shall roll at once
        "--kube-api-qps=300",
        "--kube-api-burst=600",
        "--profiling=false",
    ]


def _kubelet(name: str, addresses: Addresses) -> list[str]:
    return [
        f"{BIN}/kubelet",
        f"--config={ETC}/kubelet.yaml",
        f"--kubeconfig={PKI}/kubelet.kubeconfig",
        f"--hostname-override={name}",
        f"--node-ip={addresses.node}",
    ]


def _proxy(name: str, addresses: Addresses) -> list[str]:
    return [
        f"{BIN}/kube-proxy",
        f"--kubeconfig={PKI}/proxy.kubeconfig",
        "--proxy-mode=nftables",
        # nftables' too, in spite of the name: by default a Service refuses for a second after its pod is ready
        "--iptables-min-sync-period=50ms",
        f"--cluster-cidr={addresses.pods}",
        f"--hostname-override={name}",
        # connection tracking limits are the machine's
        "--conntrack-max-per-core=0",
    ]
