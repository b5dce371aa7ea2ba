"""The cluster's own control groups, version 1 or 2, with or without systemd: what is mounted tells.

Each hierarchy gets a group ``innerloop/MARK``, which the cluster sees as the root of the hierarchy (a cgroup
namespace). So everything that the cluster makes is below it and is removed with it, and processes leave the group
of the shell that started them, with which they would end (logind's KillUserProcesses, a container's exec).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import msgspec

from innerloop.errors import LoopError

REMOVE_SECONDS = 5.0

_REQUIRED = {"cpu", "cpuset", "memory", "pids"}


class Hierarchy(msgspec.Struct, frozen=True):
    mount: Path
    version: int
    controllers: frozenset[str] = frozenset()
    """Of version 1; empty for a named hierarchy (systemd's) without controllers."""


def hierarchies(mountinfo: str) -> list[Hierarchy]:
    """The hierarchies in ``/proc/self/mountinfo`` (proc(5)): the first mount of each that shows it from its root."""
    found: dict[object, Hierarchy] = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        kind, _, options = right.split(" ", 2)
        mount = Path(fields[4].replace("\\040", " "))
        if kind == "cgroup2":
            found.setdefault("cgroup2", Hierarchy(mount, 2))
        elif kind == "cgroup":
            named = {option for option in options.split(",") if not option.startswith(("rw", "ro", "xattr"))}
            controllers = frozenset(option for option in named if not option.startswith(("name=", "release_agent=")))
            found.setdefault(frozenset(named), Hierarchy(mount, 1, controllers))
    return list(found.values())


def create(group: str) -> list[tuple[Path, Path]]:
    """Make the group in each hierarchy; returns pairs of its folder and the mount where the cluster shall see it.

    Raises LoopError when the controllers that containers need are not there, or not ours to use.
    """
    there = hierarchies(Path("/proc/self/mountinfo").read_text())
    _check_controllers(there)
    pairs = []
    try:
        for hierarchy in there:
            folder = hierarchy.mount
            for name in Path(group).parts:
                _delegate(folder, hierarchy)
                folder /= name
                folder.mkdir(exist_ok=True)
                if "cpuset" in hierarchy.controllers:
                    _inherit_cpuset(folder)
            pairs.append((folder, hierarchy.mount))
    except OSError as error:
        raise LoopError(
            f"cannot make a control group: {error}",
            hint="in a container, the built-in cluster needs it to be privileged, with writable /sys/fs/cgroup",
        ) from error
    return pairs


async def remove(group: str) -> list[Path]:
    """Remove the group everywhere, ending what still runs in it; returns the folders that would not go."""
    folders = [hierarchy.mount / group for hierarchy in hierarchies(Path("/proc/self/mountinfo").read_text())]
    deadline = asyncio.get_running_loop().time() + REMOVE_SECONDS
    while left := [folder for folder in folders if not _removed(folder)]:
        if asyncio.get_running_loop().time() > deadline:
            return left
        await asyncio.sleep(0.02)
    for folder in folders:
        # other clusters' groups may be in it
        with contextlib.suppress(OSError):
            folder.parent.rmdir()
    return []


def exists(group: str) -> bool:
    there = hierarchies(Path("/proc/self/mountinfo").read_text())
    return any((hierarchy.mount / group).is_dir() for hierarchy in there)


def _check_controllers(there: Iterable[Hierarchy]) -> None:
    available: set[str] = set()
    for hierarchy in there:
        available |= hierarchy.controllers
        if hierarchy.version == 2:
            available |= set((hierarchy.mount / "cgroup.controllers").read_text().split())
    missing = sorted(_REQUIRED - available)
    if missing:
        raise LoopError(
            f"this machine offers no control groups for {', '.join(missing)}",
            detail="neither mounted as cgroup version 1 nor in cgroup.controllers of version 2",
            hint="mount them (package cgroupfs-mount), or boot with cgroup_enable=memory",
        )


def _delegate(folder: Path, hierarchy: Hierarchy) -> None:
    """Version 2: let the group's children have controllers."""
    if hierarchy.version == 1:
        return
    if (folder / "cgroup.type").exists():
        # not the machine's real root: here a group has processes or children with controllers, never both
        _evacuate(folder)
    for controller in (folder / "cgroup.controllers").read_text().split():
        # one by one: a controller that can't be had (realtime processes hold cpu) must not cost the others
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def _inherit_cpuset(folder: Path) -> None:
    """A new cpuset of version 1 is empty and takes no process."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (folder / name).read_text().strip():
            (folder / name).write_text((folder.parent / name).read_text())


def _evacuate(folder: Path) -> None:
    processes = (folder / "cgroup.procs").read_text().split()
    if not processes:
        return
    leaf = folder / "init"
    leaf.mkdir(exist_ok=True)
    for process in processes:
        # it may have ended
        with contextlib.suppress(ProcessLookupError):
            (leaf / "cgroup.procs").write_text(process)


def _removed(folder: Path) -> bool:
    """Whether the group is gone after one try."""
    for path, _, _ in os.walk(folder, topdown=False):
        try:
            os.rmdir(path)
        except OSError:
            _end_processes(Path(path))
    return not folder.exists()


def _end_processes(folder: Path) -> None:
    with contextlib.suppress(OSError, ProcessLookupError):
        for process in (folder / "cgroup.procs").read_text().split():
            os.kill(int(process), signal.SIGKILL)
