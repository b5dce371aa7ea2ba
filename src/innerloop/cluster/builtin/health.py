"""``status`` of a built-in cluster: what is wrong, in words, and what mends it."""

from __future__ import annotations

import shutil
import time
from ipaddress import IPv4Network
from pathlib import Path

from innerloop.cluster import records, waiting
from innerloop.cluster.builtin import keeper, network, readiness
from innerloop.cluster.builtin.addresses import Addresses
from innerloop.cluster.builtin.keeper import ComponentState
from innerloop.cluster.builtin.names import names_of
from innerloop.cluster.provider import Component, Problem, Status
from innerloop.cluster.records import Record
from innerloop.kube.client import connect

FREE_BYTES = 500 * 1024 * 1024
"""Less than this on the disk, and images can't be unpacked; etcd fails at none."""
TAIL_LINES = 6


async def status(name: str) -> Status:
    """Look at everything; takes milliseconds when all is well, seconds when something does not answer."""
    record = records.read(name)
    folder = records.folder_of(name)
    if record is None:
        return Status(provider="built-in", name=name, state="absent")
    states = keeper.components(folder) if keeper.find(folder) is not None else []
    problems = _disk_problems(folder)
    if not states:
        problems.append(Problem(message="the cluster is not running", hint=f"start it: loop cluster up {name}"))
    else:
        problems += _component_problems(folder, states)
        problems += await _link_problems(folder)
        problems += await _api_problems(record, folder)
    return Status(
        provider="built-in",
        name=name,
        state="stopped" if not states else "degraded" if problems else "running",
        context=record.context,
        kubeconfig=folder / "kubeconfig",
        registry=f"localhost:{record.registry_port}",
        components=tuple(Component(name=state.name, state=state.state, since=state.since) for state in states),
        problems=tuple(problems),
    )


def log_file(folder: Path, component: str) -> Path:
    return folder / "log" / f"{component}.log"


def log_tail(folder: Path, component: str) -> str:
    """The last lines that a component wrote."""
    try:
        with log_file(folder, component).open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - 16384))
            lines = stream.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return "(it wrote nothing)"
    return "\n".join(line[:300] for line in lines[-TAIL_LINES:]) or "(it wrote nothing)"


def _disk_problems(folder: Path) -> list[Problem]:
    free = shutil.disk_usage(folder).free
    if free >= FREE_BYTES:
        return []
    message = f"the disk is full: {free // (1024 * 1024)} MB free where the cluster has its data"
    return [Problem(message=message, hint=f"make room on the file system of {folder}")]


def _component_problems(folder: Path, states: list[ComponentState]) -> list[Problem]:
    problems = []
    for state in states:
        if state.state != "ended":
            continue
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(state.since))
        problems.append(
            Problem(
                message=f"{state.name} is not running since {when}: {state.message}",
                detail=log_tail(folder, state.name),
                hint=f"start it again: loop cluster up; its log: {log_file(folder, state.name)}",
            )
        )
    return problems


async def _link_problems(folder: Path) -> list[Problem]:
    names = names_of(folder)
    missing = []
    if names.link not in await network.links():
        missing.append(f"link {names.link}")
    if names.table not in await network.tables():
        missing.append(f"nft table {names.table}")
    if not missing:
        return []
    return [Problem(message=f"the network to the node lacks {' and '.join(missing)}", hint="mend it: loop cluster up")]


async def _api_problems(record: Record, folder: Path) -> list[Problem]:
    addresses = Addresses(IPv4Network(record.block))
    async with connect(waiting.access_of(folder / "kubeconfig")) as client:
        api = await waiting.api_problem(client)
        if api:
            return [Problem(message=api, detail=log_tail(folder, "kube-apiserver"), hint="loop cluster up")]
        found = [
            await waiting.node_problem(client, record.name),
            await waiting.account_problem(client),
            await readiness.dns_problem(addresses),
            await readiness.services_problem(addresses),
        ]
    return [Problem(message=message, hint="mend it: loop cluster up") for message in found if message]
