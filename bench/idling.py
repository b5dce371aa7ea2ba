"""What a session costs while nobody types."""

from __future__ import annotations

import time

from bench import machine
from bench.container import Container
from bench.measuring import Figure
from bench.running import Running

SECONDS = 30.0
SETTLE_SECONDS = 3.0


def idle(session: Running, container: Container) -> list[Figure]:
    """Of the tool's own processes, and of what it runs in the container beside the server."""
    time.sleep(SETTLE_SECONDS)
    own = machine.family(session.process.pid)
    inside = [pid for pid in container.processes() if not machine.name(pid).startswith("python")]
    before = machine.cpu_seconds(own), machine.cpu_seconds(inside)
    time.sleep(SECONDS)
    after = machine.cpu_seconds(own), machine.cpu_seconds(inside)
    shares = [(end - begin) / SECONDS * 100 for begin, end in zip(before, after, strict=True)]
    return [
        Figure(f"idle session: processor, over {SECONDS:.0f} s", "% of a core", (shares[0],), "< 0.5 %"),
        Figure("… memory (resident)", "MB", (machine.resident_megabytes(own),), "≤ 80 MB"),
        Figure("… its processes in the container: processor", "% of a core", (shares[1],)),
        Figure("… memory (resident)", "MB", (machine.resident_megabytes(inside),)),
    ]
