"""``down`` of a built-in cluster, from whatever state a crash, an interrupt or a reboot left it in."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

from innerloop.cluster import records
from innerloop.cluster.builtin import cgroups, keeper, machine, network, sysctls
from innerloop.cluster.builtin.names import names_of
from innerloop.errors import LoopError


async def remove(name: str) -> None:
    """Remove all of the cluster; the caller holds its lock. Raises LoopError when something can't be removed."""
    machine.check_possible()
    folder = records.folder_of(name)
    await stop(name)
    await _unmount(folder)
    try:
        # its record last
        await asyncio.to_thread(records.remove, name)
    except OSError as error:
        raise LoopError(
            f"cannot remove {error.filename}: {error.strerror}", hint=f"repeat: loop cluster down {name}"
        ) from error
    async with records.locked("machine"):
        if not any(record.provider == "built-in" for record in records.read_all()):
            sysctls.restore(forwarding_needed=await network.others_forward())


async def stop(name: str) -> None:
    """End the cluster's processes and remove what they had on the machine; its data stays."""
    folder = records.folder_of(name)
    await keeper.kill(folder)
    await sweep(folder)


async def sweep(folder: Path) -> None:
    """Remove what outlives the keeper: link, nft table, firewall rules, control groups."""
    names = names_of(folder)
    await network.disconnect(names)
    left = await cgroups.remove(names.cgroup)
    if left:
        raise LoopError(
            "control groups of the cluster can't be removed",
            detail="\n".join(map(str, left)),
            hint="a process in them hangs: see their cgroup.procs",
        )


async def _unmount(folder: Path) -> None:
    """Nothing is mounted below the folder outside the cluster's own namespaces, unless somebody did that by hand."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in sorted((point for point in points if point.startswith(f"{folder}/")), reverse=True):
        try:
            await asyncio.to_thread(subprocess.run, ["umount", "--lazy", point], check=True, capture_output=True)
        except subprocess.CalledProcessError as error:
            raise LoopError(f"cannot unmount {point}", detail=error.stderr.decode(errors="replace")) from error
