"""What can go wrong with a container under development, done on purpose: on the node, or in the container."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from innerloop.dev.pods import PodContainer


def signal_receivers(number: signal.Signals) -> tuple[str, ...]:
    """A command for the container that signals its sync receivers."""
    code = f"""
import os, pathlib
for place in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        if place.joinpath("cmdline").read_bytes().startswith(b"/.innerloop/loop-helper\\0sync"):
            os.kill(int(place.name), {number.value})
    except (FileNotFoundError, ProcessLookupError):
        pass  # it ended while we looked
"""
    return ("python", "-c", code)


def kill_container(container: PodContainer) -> None:
    """Kill all its processes from the node."""
    for process in (_cgroup(container, "cgroup.procs") / "cgroup.procs").read_text().split():
        # the others go with process 1
        with suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)


@contextmanager
def paused(container: PodContainer) -> Iterator[None]:
    """Freeze all its processes, also those that are started meanwhile."""
    unified = [place for place in _cgroups(container) if (place / "cgroup.freeze").exists()]
    file, on, off = (
        (unified[0] / "cgroup.freeze", "1", "0")
        if unified
        else (_cgroup(container, "freezer.state") / "freezer.state", "FROZEN", "THAWED")
    )
    file.write_text(on)
    try:
        yield
    finally:
        file.write_text(off)


def _cgroup(container: PodContainer, file: str) -> Path:
    return next(place for place in _cgroups(container) if (place / file).exists())


def _cgroups(container: PodContainer) -> Iterator[Path]:
    """The container's control groups; several where version 1 is in use."""
    id = container.container_id.rpartition("/")[2]
    for place in Path("/sys/fs/cgroup").glob(f"**/*{id}*"):
        if place.is_dir():
            yield place
