"""The addresses of a built-in cluster: one /16 of private addresses that nothing else on the machine uses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network

import msgspec

from innerloop.errors import LoopError

# 10.0/9 is full of other tools' defaults: clouds, kubeadm 10.96, podman 10.88, k3s 10.42; flannel and kind have 10.244
_PREFERRED = [IPv4Network(f"10.{n}.0.0/16") for n in range(129, 223)]
_OTHERS = [
    *(IPv4Network(f"172.{n}.0.0/16") for n in range(31, 15, -1)),
    # shared address space (RFC 6598), benchmarks (RFC 2544): for who routes all private addresses into a VPN
    *(IPv4Network(f"100.{n}.0.0/16") for n in range(127, 63, -1)),
    IPv4Network("198.18.0.0/16"),
    IPv4Network("198.19.0.0/16"),
]


class Addresses(msgspec.Struct, frozen=True):
    """A /16 divided: the link between machine and node, pods (16,382), services."""

    block: IPv4Network

    @property
    def link_prefix(self) -> int:
        return 24

    @property
    def machine(self) -> IPv4Address:
        """The machine's end of the link: the node's gateway."""
        return self.block[1]

    @property
    def node(self) -> IPv4Address:
        """The node's end of the link: API server, DNS, registry and node ports."""
        return self.block[2]

    @property
    def pods(self) -> IPv4Network:
        return IPv4Network((self.block[0x4000], 18))

    @property
    def services(self) -> IPv4Network:
        return IPv4Network((self.block[0x8000], 18))

    @property
    def api_service(self) -> IPv4Address:
        """What the Service ``kubernetes`` gets: the first of the range, by Kubernetes' own rule."""
        return self.services[1]


def choose(name: str, taken: Iterable[IPv4Network]) -> Addresses:
    """The first free block, tried in an order that the name determines.

    Raises LoopError when every candidate overlaps with ``taken``.
    """
    used = list(taken)
    for block in candidates(name):
        if not any(block.overlaps(other) for other in used):
            return Addresses(block)
    raise LoopError(
        "no free block of addresses for the cluster",
        detail="every candidate (10.129-222, 172.16-31, 100.64-127, 198.18-19, each a /16) overlaps with a route",
        hint="see 'ip route show table all'; leave a VPN that routes all of them",
    )


def candidates(name: str) -> Iterator[IPv4Network]:
    """All blocks, the preferred ones first, from a place that the name determines."""
    start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % len(_PREFERRED)
    yield from _PREFERRED[start:]
    yield from _PREFERRED[:start]
    yield from _OTHERS


def overlapping(addresses: Addresses, taken: Iterable[IPv4Network]) -> list[IPv4Network]:
    return [network for network in taken if network.overlaps(addresses.block)]
