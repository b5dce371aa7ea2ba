"""What a cluster of ours has from the start: how to reach its registry, and volumes for who claims one."""

from __future__ import annotations

import asyncio
from typing import Any

from innerloop.cluster.builtin.addresses import Addresses
from innerloop.cluster.builtin.configuration import REGISTRY_PORT
from innerloop.cluster.records import Record
from innerloop.kube import objects
from innerloop.kube.client import Client
from innerloop.kube.errors import NotFound

NAMESPACE_SECONDS = 30.0

_HELP = "https://git.k8s.io/enhancements/keps/sig-cluster-lifecycle/generic/1755-communicating-a-local-registry"


async def ensure(client: Client, record: Record, addresses: Addresses) -> None:
    """Apply them; waits for the namespace kube-public, which the API server makes by itself a little later."""
    await objects.apply(client, _storage_class(), force=True)
    deadline = asyncio.get_running_loop().time() + NAMESPACE_SECONDS
    while True:
        try:
            await objects.apply(client, _registry_hosting(record, addresses), force=True)
            return
        except NotFound:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.05)


def _registry_hosting(record: Record, addresses: Addresses) -> dict[str, Any]:
    """KEP-1755: where builders push and pods pull; docker takes a registry without TLS only at localhost."""
    inside = f"{addresses.node}:{REGISTRY_PORT}"
    hosting = {
        "host": f"localhost:{record.registry_port}",
        "hostFromContainerRuntime": inside,
        "hostFromClusterNetwork": inside,
        "help": _HELP,
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "local-registry-hosting", "namespace": "kube-public"},
        "data": {"localRegistryHosting.v1": "".join(f'{key}: "{value}"\n' for key, value in hosting.items())},
    }


def _storage_class() -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "standard",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        # in the controller manager itself, for single nodes
        "provisioner": "kubernetes.io/host-path",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }
