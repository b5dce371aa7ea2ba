"""The way out of a cluster, on a "machine" that is a network namespace of the test's own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from innerloop import processes
from innerloop.cluster.compiling import compile_node

pytestmark = pytest.mark.cluster

SCRIPT = """
import asyncio, json, subprocess, sys
from ipaddress import IPv4Network
from pathlib import Path
from innerloop.cluster.builtin import keeper, network
from innerloop.cluster.builtin.addresses import Addresses
from innerloop.cluster.builtin.names import names_of

def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout

def state(names):
    return {
        "forward": output("iptables", "-S", "FORWARD").splitlines(),
        "tables": names.table in output("nft", "list", "tables"),
        "link": names.link in output("ip", "link"),
    }

async def main(program, folder, policy):
    output("iptables", "-P", "FORWARD", policy)
    (folder / "log").mkdir()
    plan = {"hostname": "x", "binds": [{"source": str(folder), "target": "/run/innerloop/state"}]}
    (folder / "plan.json").write_text(json.dumps(plan))
    pid = await keeper.start(program, folder)
    names, addresses = names_of(folder), Addresses(IPv4Network("10.140.0.0/16"))
    await network.connect(names, addresses, pid)
    await network.connect(names, addresses, pid)
    up = state(names)
    inside = output("nsenter", f"--net=/proc/{pid}/ns/net", "ip", "route", "get", "203.0.113.1").split()
    await keeper.kill(folder)
    await network.disconnect(names)
    print(json.dumps({"up": up, "via": inside[2], "link": names.link, "down": state(names)}))

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
"""


async def connected_and_disconnected(folder: Path, policy: str) -> Any:
    program = (await compile_node(lambda _: None)).keeper
    command = ["unshare", "--net", sys.executable, "-c", SCRIPT, str(program), str(folder), policy]
    return json.loads((await processes.run(command)).stdout)


async def test_a_firewall_that_drops_forwarded_packets_lets_the_cluster_out(tmp_path: Path) -> None:
    found = await connected_and_disconnected(tmp_path, "DROP")
    link = found["link"]
    rules = [f"-A FORWARD -o {link} -j ACCEPT", f"-A FORWARD -i {link} -j ACCEPT"]
    assert found["up"] == {"forward": ["-P FORWARD DROP", *rules], "tables": True, "link": True}
    assert found["via"] == "10.140.0.1"


async def test_no_rule_is_made_where_forwarding_is_allowed(tmp_path: Path) -> None:
    found = await connected_and_disconnected(tmp_path, "ACCEPT")
    assert found["up"]["forward"] == ["-P FORWARD ACCEPT"]


async def test_disconnecting_removes_link_table_and_rules(tmp_path: Path) -> None:
    found = await connected_and_disconnected(tmp_path, "DROP")
    assert found["down"] == {"forward": ["-P FORWARD DROP"], "tables": False, "link": False}
