"""Which process something was written by, so that on the same machine anyone can tell whether it still runs."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def own() -> str:
    """Of this process: ``BOOT/PID/START``; empty where the kernel does not tell one process from another."""
    boot, start = boot_id(), process_start(os.getpid())
    return f"{boot}/{os.getpid()}/{start}" if boot and start else ""


def is_dead(identity: str) -> bool:
    """Whether it was a process of this machine, since its last start, that is gone; False for all of elsewhere."""
    boot, _, rest = identity.partition("/")
    pid, _, start = rest.partition("/")
    return bool(boot) and boot == boot_id() and not is_running(pid, start)


def is_running(pid: str, start: str) -> bool:
    return bool(pid.isdigit() and start) and process_start(int(pid)) == start


def boot_id() -> str:
    """Tells this machine since its last start from every other; empty where the kernel doesn't say."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def process_start(pid: int) -> str:
    """Start of a process in clock ticks since boot (proc(5), field 22): a process id alone may be used again."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return ""
