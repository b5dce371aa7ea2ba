"""The few kernel settings of the whole machine that a cluster needs, and putting them back after the last one.

What a namespace has of its own the keeper sets; what the kubelet merely insists on it is only shown.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from innerloop.cluster import records
from innerloop.storage import write_whole

# containerd, kubelet and every pod that watches files take some; the default of 128 ends in "too many open files"
_AT_LEAST = {"fs/inotify/max_user_instances": 1024}
_EXACTLY = {"net/ipv4/ip_forward": 1}
"""The way from the pods to the Internet."""


class Changes(msgspec.Struct, frozen=True):
    """What was before and what we wrote, by path below ``/proc/sys``; void after a reboot."""

    boot: str
    before: dict[str, int] = {}
    written: dict[str, int] = {}


def adjust() -> None:
    """Write what is not so yet, remembering what was; called with the machine's lock held."""
    wanted = {name: value for name, value in _AT_LEAST.items() if _read(name) < value}
    wanted |= {name: value for name, value in _EXACTLY.items() if _read(name) != value}
    if not wanted:
        return
    former = _remembered()
    before = {name: _read(name) for name in wanted} | former.before
    changes = Changes(boot_id(), before, former.written | wanted)
    # first remembered, then done: an interruption in between loses nothing
    write_whole(_file(), msgspec.json.encode(changes))
    for name, value in wanted.items():
        _write(name, value)


def restore(*, forwarding_needed: bool) -> None:
    """Put back what nobody changed since. ``forwarding_needed``: other virtual networks may rely on it by now."""
    changes = _remembered()
    for name, before in changes.before.items():
        if name in _EXACTLY and forwarding_needed:
            continue
        if _read(name) == changes.written[name]:
            _write(name, before)
    _file().unlink(missing_ok=True)


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _file() -> Path:
    return records.clusters_dir() / "machine.json"


def _remembered() -> Changes:
    with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
        changes = msgspec.json.decode(_file().read_bytes(), type=Changes)
        if changes.boot == boot_id():
            return changes
    return Changes(boot_id())


def _read(name: str) -> int:
    return int((Path("/proc/sys") / name).read_text())


def _write(name: str, value: int) -> None:
    (Path("/proc/sys") / name).write_text(f"{value}\n")
