"""What the machine is and does, and what processes take of it (Linux' /proc)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def machine() -> dict[str, object]:
    """What the figures depend on most, in neutral words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {"cores": os.cpu_count(), "memory_gb": round(memory, 1), "load": os.getloadavg()}


def resident_megabytes(pids: Iterable[int]) -> float:
    """Resident memory of some processes together."""
    return sum(int(_status(pid)["VmRSS"].split()[0]) for pid in pids) / 1000


def cpu_seconds(pids: Iterable[int]) -> float:
    """What some processes have used so far."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for child in processes():
        children.setdefault(int(_status(child).get("PPid", "0")), []).append(child)
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def processes() -> list[int]:
    return [int(place.name) for place in Path("/proc").iterdir() if place.name.isdigit()]


def name(pid: int) -> str:
    return _status(pid).get("Name", "")


def is_first(pid: int) -> bool:
    """Whether it is process 1 of a process namespace of its own."""
    numbers = _status(pid).get("NSpid", "").split()
    return len(numbers) > 1 and numbers[-1] == "1"


def is_in(pid: int, container: str) -> bool:
    """Whether it runs in a container, by the id that the container runtime put into the name of its control group."""
    try:
        return container in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False


def _status(pid: int) -> dict[str, str]:
    """Empty for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
