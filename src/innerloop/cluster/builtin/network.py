"""The link between the machine and a cluster's network namespace, and the way from there to the Internet.

The link, its addresses and routes end with the namespace. What stays behind, because it is the machine's, are one
nft table and, where a firewall drops forwarded packets by policy, two rules: all named after the link.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Iterable
from ipaddress import IPv4Network
from typing import Any

import msgspec

from innerloop import processes
from innerloop.cluster.builtin.addresses import Addresses
from innerloop.cluster.builtin.machine import program, required
from innerloop.cluster.builtin.names import Names
from innerloop.errors import LoopError

LINK_GONE_SECONDS = 5.0

_UPLINK = "uplink"
"""The node's end: no usual name, so that a command that lands in the wrong namespace finds no such device."""

_NO_NEIGHBOURS = ("lo", "sit", "tunl", "ip6tnl", "ifb", "dummy")


async def connect(names: Names, addresses: Addresses, keeper: int) -> None:
    """Make the link to the keeper's network namespace, or complete it; may be repeated."""
    link = names.link
    commands = [
        f"addr replace {addresses.machine}/{addresses.link_prefix} dev {link}",
        f"link set {link} up",
        # the machine reaches pods and services too: handy, and what port-forwards to node ports need
        f"route replace {addresses.pods} via {addresses.node} dev {link}",
        f"route replace {addresses.services} via {addresses.node} dev {link}",
    ]
    if link not in await links():
        commands.insert(0, f"link add {link} type veth peer name {_UPLINK} netns {keeper}")
    await _ip_batch([], commands)
    inside = [
        f"addr replace {addresses.node}/{addresses.link_prefix} dev {_UPLINK}",
        f"link set {_UPLINK} up",
        f"route replace default via {addresses.machine} dev {_UPLINK}",
    ]
    if os.path.samefile(f"/proc/{keeper}/ns/net", "/proc/self/ns/net"):
        raise LoopError(f"process {keeper} is not in a network namespace of its own")
    await _ip_batch([required("nsenter"), f"--net=/proc/{keeper}/ns/net"], inside)
    await _masquerade(names, addresses)
    await _accept_forwarding(names)


async def disconnect(names: Names) -> None:
    """Remove what ``connect`` made; nothing of it need be there."""
    if program("ip") is None:
        return
    await _wait_gone(names)
    if program("nft") is not None and names.table in await tables():
        await processes.run([required("nft"), "delete", "table", "ip", names.table])
    iptables = program("iptables")
    if iptables is None:
        return
    for rule in (await _forward_rules(iptables))[1:]:
        if names.link in rule:
            await processes.run([iptables, "-w", *shlex.split(rule.replace("-A ", "-D ", 1))])


async def taken(names: Names) -> list[IPv4Network]:
    """Networks that the machine routes or has addresses in, except those of our own link."""
    routes = await _json(["-4", "route", "show", "table", "all"])
    return [
        IPv4Network(route["dst"], strict=False)
        for route in routes
        if route.get("dst", "default") != "default" and route.get("dev") != names.link
    ]


async def links() -> dict[str, str]:
    """Names of the machine's network links with their kinds (``veth``, ``bridge``; empty for hardware)."""
    found = await _json(["-details", "link", "show"])
    return {link["ifname"]: (link.get("linkinfo") or {}).get("info_kind", "") for link in found}


async def tables() -> list[str]:
    """Names of the nft tables of family ip."""
    listed = await processes.run([required("nft"), "list", "tables", "ip"])
    return [line.split()[-1] for line in listed.text.splitlines()]


async def others_forward() -> bool:
    """Whether some other virtual network (Docker, libvirt, a VPN) may rely on forwarding."""
    return any(kind and not name.startswith(("loop-", *_NO_NEIGHBOURS)) for name, kind in (await links()).items())


async def _wait_gone(names: Names) -> None:
    # the kernel removes the link a moment after the namespace's last process
    deadline = asyncio.get_running_loop().time() + LINK_GONE_SECONDS
    while names.link in await links():
        if asyncio.get_running_loop().time() > deadline:
            await processes.run([required("ip"), "link", "delete", names.link])
            return
        await asyncio.sleep(0.02)


async def _masquerade(names: Names, addresses: Addresses) -> None:
    rules = f"""
        add table ip {names.table}
        delete table ip {names.table}
        table ip {names.table} {{
            chain postrouting {{
                type nat hook postrouting priority srcnat; policy accept;
                ip saddr {addresses.block} oifname != "{names.link}" masquerade
            }}
        }}
    """
    await processes.run([required("nft"), "-f", "-"], input=rules.encode())


async def _accept_forwarding(names: Names) -> None:
    """Docker and ufw drop forwarded packets by policy; another table's verdict does not change that."""
    iptables = program("iptables")
    if iptables is None:
        return
    policy, *rules = await _forward_rules(iptables) or [""]
    if policy != "-P FORWARD DROP" or any(names.link in rule for rule in rules):
        return
    for direction in ("-i", "-o"):
        await processes.run([iptables, "-w", "-I", "FORWARD", direction, names.link, "-j", "ACCEPT"])


async def _forward_rules(iptables: str) -> list[str]:
    listed = await processes.run([iptables, "-w", "-S", "FORWARD"], check=False)
    return listed.text.splitlines() if listed.code == 0 else []


async def _ip_batch(prefix: Iterable[str], commands: Iterable[str]) -> None:
    command = [*prefix, required("ip"), "-batch", "-"]
    await processes.run(command, input="".join(f"{line}\n" for line in commands).encode())


async def _json(arguments: list[str]) -> list[dict[str, Any]]:
    completed = await processes.run([required("ip"), "-json", *arguments])
    try:
        return msgspec.json.decode(completed.stdout or b"[]", type=list[dict[str, Any]])
    except msgspec.DecodeError as error:
        raise LoopError(f"ip {' '.join(arguments)} did not answer in JSON", detail=completed.text) from error
