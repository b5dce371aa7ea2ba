"""``up`` of a built-in cluster: everything that can goes on at the same time, and all of it may be repeated."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from innerloop.cluster import records, waiting
from innerloop.cluster.builtin import (
    cgroups,
    components,
    configuration,
    health,
    keeper,
    machine,
    network,
    objects,
    pki,
    readiness,
    sandbox,
    stopping,
    sysctls,
)
from innerloop.cluster.builtin.addresses import Addresses, choose, overlapping
from innerloop.cluster.builtin.names import Names, names_of
from innerloop.cluster.compiling import Programs, compile_node
from innerloop.cluster.records import Record
from innerloop.errors import LoopError, single_failure
from innerloop.events import Emit, StepOutput, StepProgress, reported
from innerloop.kube.client import connect

STEP = "cluster/up"
READY_SECONDS = 120.0
POLL_SECONDS = 0.05
FIRST_REGISTRY_PORT = 5001
"""What guides for local clusters use; 5000 is taken on Macs and by many registries."""


class _Cluster(NamedTuple):
    record: Record
    folder: Path
    names: Names
    addresses: Addresses
    programs: Programs
    emit: Emit

    def progress(self, message: str) -> None:
        self.emit(StepProgress(step=STEP, message=message))


async def up(name: str, *, context: str, install: bool, emit: Emit) -> None:
    """Bring the cluster up, or mend it; when this returns, pods run and find Services by name.

    Raises LoopError when the machine lacks something, or the cluster does not get ready. Cancelled, a cluster that
    was not there before is removed, one that was stopped is stopped again.
    """
    machine.check_possible()
    if install and machine.installable_packages():
        await _install(emit)
    machine.check_packages()
    programs = await compile_node(emit)
    with reported(emit, STEP, f"start cluster {name}") as outcome:

        def busy() -> None:
            emit(StepProgress(step=STEP, message="another process works on this cluster: waiting for that"))

        async with records.locked(name, busy):
            try:
                outcome.summary = await _up(name, context, programs, emit)
            except OSError as error:
                # a full disk, a read-only file system
                raise LoopError(f"cannot set up cluster {name}: {error}") from error


async def _install(emit: Emit) -> None:
    with reported(emit, "cluster/install", "install Debian packages") as outcome:
        installed = await machine.install_packages(lambda line: emit(StepOutput(step="cluster/install", text=line)))
        outcome.summary = ", ".join(installed)


async def _up(name: str, context: str, programs: Programs, emit: Emit) -> str:
    folder = records.folder_of(name)
    was_there = records.read(name) is not None
    was_running = keeper.find(folder) is not None
    if was_running and was_there and not (await health.status(name)).problems:
        return "already up"
    try:
        record = await _recorded(name, context, folder)
        cluster = _Cluster(record, folder, names_of(folder), Addresses(IPv4Network(record.block)), programs, emit)
        await _start(cluster)
    except asyncio.CancelledError:
        if not was_there:
            await stopping.remove(name)
        elif not was_running:
            await stopping.stop(name)
        raise
    return "mended" if was_running else "ready"


async def _recorded(name: str, context: str, folder: Path) -> Record:
    """The cluster's record; on the first ``up`` with addresses chosen, later with addresses checked."""
    async with records.locked("machine"):
        record = records.read(name)
        running = keeper.find(folder) is not None
        taken = await network.taken(names_of(folder))
        if record is None:
            others = [IPv4Network(other.block) for other in records.read_all() if other.block]
            block = str(choose(name, taken + others).block)
            record = Record(provider="built-in", name=name, context=context, block=block)
        elif collisions := overlapping(Addresses(IPv4Network(record.block)), taken):
            raise LoopError(
                f"the addresses of cluster {name} ({record.block}) are in use by another network now",
                detail=f"routes of this machine: {', '.join(map(str, collisions))}",
                hint=f"leave that network (a VPN?), or make the cluster anew: loop cluster down {name}",
            )
        if not running:
            record = _with_registry_port(record)
        records.write(record)
        sysctls.adjust()
        return record


def _with_registry_port(record: Record) -> Record:
    others = {other.registry_port for other in records.read_all() if other.name != record.name}
    candidates = [record.registry_port, *range(FIRST_REGISTRY_PORT, FIRST_REGISTRY_PORT + 200)]
    for port in candidates:
        if port and port not in others and _is_free(port):
            return msgspec.structs.replace(record, registry_port=port)
    raise LoopError(f"no free port for the registry among 127.0.0.1:{candidates[1]}-{candidates[-1]}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False


async def _start(cluster: _Cluster) -> None:
    cluster.progress("starting containerd, etcd and the API server")
    record, folder, addresses = cluster.record, cluster.folder, cluster.addresses
    await pki.make(cluster.programs.keeper, folder, name=record.name, context=record.context, addresses=addresses)
    cni = machine.cni_folder()
    assert cni is not None, "check_packages found it"
    configuration.write(folder, addresses, cni=cni)
    since = time.time()
    pid = await _kept(cluster)
    # before anything is sent to the cluster's addresses: until then they belong to whoever has the default route
    await network.connect(cluster.names, addresses, pid)
    steps = [sandbox.ensure(folder, pid, cluster.programs.pause), _until_ready(cluster, since)]
    await _together(steps, _until_one_ends(cluster, since))


async def _kept(cluster: _Cluster) -> int:
    """The process number of the keeper, started or told to start what does not run."""
    running = keeper.find(cluster.folder)
    groups = []
    if running is None:
        await stopping.sweep(cluster.folder)
        groups = cgroups.create(cluster.names.cgroup)
    components.write_plan(
        cluster.folder,
        name=cluster.record.name,
        programs=cluster.programs.folder,
        addresses=cluster.addresses,
        registry_port=cluster.record.registry_port,
        cgroups=groups,
    )
    if running is None:
        return await keeper.start(cluster.programs.keeper, cluster.folder)
    keeper.reload(running)
    return running


async def _until_ready(cluster: _Cluster, since: float) -> None:
    name, addresses = cluster.record.name, cluster.addresses
    async with connect(waiting.access_of(cluster.folder / "kubeconfig")) as client:

        async def node() -> str:
            states = keeper.components(cluster.folder)
            started = max((state.since for state in states if state.name == "kubelet"), default=0.0)
            # of a stopped cluster the API still tells the last report
            return await waiting.node_problem(client, name, heard_since=started if started >= since else 0.0)

        await _until(cluster, lambda: _api_open(addresses))
        await objects.ensure(client, cluster.record, addresses)
        await _until(cluster, node)
        await _until(cluster, lambda: waiting.account_problem(client))
        await _until(cluster, lambda: readiness.dns_problem(addresses))
        await _until(cluster, lambda: readiness.services_problem(addresses))
        await _until(cluster, lambda: waiting.api_problem(client))


async def _api_open(addresses: Addresses) -> str:
    # by TLS, as the socket takes connections long before the server does; and a plain connection, since the client's
    # own repetitions would wait longer and longer
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection(str(addresses.node), 6443, ssl=context)
            writer.close()
    except (OSError, TimeoutError):
        return "the API server does not answer yet"
    return ""


async def _until(cluster: _Cluster, problem: Callable[[], Awaitable[str]]) -> None:
    """Wait until ``problem`` tells none. Raises LoopError with the last one."""
    deadline = asyncio.get_running_loop().time() + READY_SECONDS
    told = ""
    while found := await problem():
        if found != told:
            told = found
            cluster.progress(found)
        if asyncio.get_running_loop().time() > deadline:
            raise LoopError(
                f"cluster {cluster.record.name} does not get ready: {found}",
                hint="see what is wrong: loop cluster status; logs are in " + str(cluster.folder / "log"),
            )
        await asyncio.sleep(POLL_SECONDS)


async def _until_one_ends(cluster: _Cluster, since: float) -> None:
    """Raises LoopError as soon as a component ends; never returns."""
    while True:
        if keeper.find(cluster.folder) is None:
            raise LoopError("the cluster's processes were ended", hint="start them again: loop cluster up")
        for state in keeper.components(cluster.folder):
            if state.state == "ended" and state.since >= since:
                raise LoopError(
                    f"{state.name} of cluster {cluster.record.name} ended: {state.message}",
                    detail=health.log_tail(cluster.folder, state.name),
                    hint=f"the whole log: {health.log_file(cluster.folder, state.name)}",
                )
        await asyncio.sleep(0.2)


async def _together(work: Sequence[Awaitable[None]], guard: Coroutine[Any, Any, None]) -> None:
    """Do all of ``work`` at once, while ``guard`` watches; raises the first error alone."""

    async def one(step: Awaitable[None]) -> None:
        await step

    try:
        async with asyncio.TaskGroup() as outer:
            watcher = outer.create_task(guard, name="watch components")
            async with asyncio.TaskGroup() as inner:
                for step in work:
                    inner.create_task(one(step), name="start cluster")
            watcher.cancel()
    except BaseExceptionGroup as group:
        raise single_failure(group) from None
