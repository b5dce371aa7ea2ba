"""The configuration files of a cluster's components, written anew at each ``up``.

The cluster sees its own folder as ``/run/innerloop/state`` and its programs as ``/run/innerloop/bin``, so that its
files are the same wherever the folder is, and no path is too long for a Unix socket.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from innerloop.cluster.builtin.addresses import Addresses
from innerloop.storage import write_whole

STATE = "/run/innerloop/state"
BIN = "/run/innerloop/bin"
ETC = f"{STATE}/etc"
PKI = f"{STATE}/pki"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
SANDBOX_IMAGE = "innerloop.local/pause:1"
REGISTRY_PORT = 5000
"""In the cluster's network, at the node's address."""
MAX_PODS = 1000
"""The kubelet's own default of 110 is for production."""

_CAP_SYS_RESOURCE = 24


def write(folder: Path, addresses: Addresses, *, cni: Path) -> None:
    """Write all files to ``folder/etc``."""
    files = {
        "containerd.toml": _containerd(cni, native=_filesystem(folder) == "overlay"),
        "certs.d/_default/hosts.toml": _hosts(addresses),
        "cni/10-innerloop.conflist": _json(_cni(addresses)),
        "kubelet.yaml": _json(_kubelet(addresses)),
        "scheduler.yaml": _json(_scheduler()),
        "Corefile": _corefile(addresses),
        # for pods with dnsPolicy Default: the machine's own may name loopback addresses
        "resolv.conf": f"nameserver {addresses.node}\n",
    }
    for name, text in files.items():
        file = folder / "etc" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, text.encode())


def _containerd(cni: Path, *, native: bool) -> str:
    return f"""\
# format of containerd 1.x, which 2.x converts
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{SANDBOX_IMAGE}"
  # without the right to lower an OOM score, runc could start no container
  restrict_oom_score_adj = {str(not _may_lower_oom_score()).lower()}
  disable_apparmor = true
  max_concurrent_downloads = 6
  [plugins."io.containerd.grpc.v1.cri".containerd]
    # overlay file systems do not stack
    snapshotter = "{"native" if native else "overlayfs"}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{ETC}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{ETC}/certs.d"
"""


def _hosts(addresses: Addresses) -> str:
    """The built-in registry mirrors every registry; what it has not comes from the real one."""
    return f"""\
[host."http://{addresses.node}:{REGISTRY_PORT}"]
  capabilities = ["pull", "resolve"]
"""


def _cni(addresses: Addresses) -> dict[str, Any]:
    # ptp, not bridge: replies of a Service's pod to its neighbour are routed, so they pass connection tracking
    # without the kernel module br_netfilter. No masquerading here: the machine does that for all of the block
    interface = {
        "type": "ptp",
        "ipam": {
            "type": "host-local",
            "dataDir": "/run/cni-ipam",
            "ranges": [[{"subnet": str(addresses.pods)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "innerloop", "plugins": [interface, ports]}


def _kubelet(addresses: Addresses) -> dict[str, Any]:
    """KubeletConfiguration, https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/ (1.36)."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{PKI}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{PKI}/kubelet.crt",
        "tlsPrivateKeyFile": f"{PKI}/kubelet.key",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "clusterDNS": [str(addresses.node)],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{ETC}/resolv.conf",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "makeIPTablesUtilChains": False,
        "maxPods": MAX_PODS,
        # a developer's disk is often nearly full: no image is collected, no pod evicted for it
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi"},
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "kubeAPIQPS": 300,
        "kubeAPIBurst": 600,
        # changed ConfigMaps arrive in mounted volumes within this time
        "syncFrequency": "20s",
        "logging": {"verbosity": 1},
    }


def _scheduler() -> dict[str, Any]:
    """Its rate is the only brake on starting pods, and one takes 0.6 s of a processor: hundreds at once end in none."""
    processors = os.cpu_count() or 1
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {
            "kubeconfig": f"{PKI}/scheduler.kubeconfig",
            "qps": 2 * processors,
            "burst": 15 * processors,
        },
    }


def _corefile(addresses: Addresses) -> str:
    forward = "forward . /etc/resolv.conf" if _has_resolver() else ""
    return f"""\
.:53 {{
  bind {addresses.node}
  errors
  kubernetes cluster.local in-addr.arpa ip6.arpa {{
    kubeconfig {PKI}/coredns.kubeconfig
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
  }}
  {forward}
  cache 30 {{
    # answered from memory anyway; a Service made after the first question must be found at once
    disable success cluster.local
    disable denial cluster.local
  }}
}}
"""


def _has_resolver() -> bool:
    try:
        lines = Path("/etc/resolv.conf").read_text().splitlines()
    except OSError:
        return False
    return any(line.split()[:1] == ["nameserver"] for line in lines)


def _may_lower_oom_score() -> bool:
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> _CAP_SYS_RESOURCE & 1)


def _filesystem(folder: Path) -> str:
    """Type of the file system that a folder is on, by the longest mount point above it."""
    kinds = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kinds[left.split()[4]] = right.split()[0]
    mounts = [parent for parent in (folder, *folder.parents) if str(parent) in kinds]
    return kinds[str(mounts[0])] if mounts else ""


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
