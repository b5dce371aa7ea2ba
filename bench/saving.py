"""One save at a time: until it is served, until it is acknowledged, until the restarted server answers."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.container import Container, Page
from bench.measuring import Figure, NotMeasured, seconds
from bench.running import Running
from bench.sample import SERVER, Sample
from bench.tools import synced

PAUSE_SECONDS = (0.2, 1.5)
"""Between a save that arrived and the next: longer than any tool's tick, so that saves meet it at any moment."""
WARM_UP = 3
LOST_SECONDS = 20.0
"""A save that is not served by then is lost: ten times the slowest that ever came."""
OWN_STARTS = 20
OWN_PORT = 8001

Save = Callable[[Path, str], None]


def in_place(file: Path, text: str) -> None:
    file.write_text(text)


def rename_over(file: Path, text: str) -> None:
    """As editors save: the new file is complete before it has the name."""
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(text)
    beside.replace(file)


SAVES: dict[str, Save] = {"in place": in_place, "rename over": rename_over}


def served(sample: Sample, container: Container, count: int) -> Iterator[Figure]:
    """From before a save until the pod serves what was saved; a save that never comes is counted instead."""
    page = Page(container.address)
    goal = "p50 ≤ 10 ms, p99 ≤ 40 ms"
    for name, save in SAVES.items():
        samples = []
        lost = 0
        for number in range(-WARM_UP, count):
            pause()
            text = f"saved {name} {number}"
            started = time.perf_counter()
            save(sample.page, text)
            try:
                arrived = page.until(f"{text} 0".encode(), LOST_SECONDS)
            except NotMeasured:
                lost += 1
                continue
            if number >= 0:
                samples.append(arrived - started)
        if samples:
            yield Figure(f"save ({name}) → served by the pod", "s", tuple(samples), goal)
        yield Figure(f"… of {count + WARM_UP} saves lost: not served within {LOST_SECONDS:.0f} s", "", (lost,), "0")
    asked = tuple(seconds(page.get) for _ in range(count))
    page.close()
    yield Figure("… of which asking the server once takes", "s", asked)


def acknowledged(sample: Sample, session: Running, count: int) -> list[Figure]:
    """From before a save until the session says that it is in the container; nobody asks the pod meanwhile."""
    samples = []
    for number in range(-WARM_UP, count):
        pause()
        behind = len(session.lines)
        started = time.perf_counter()
        in_place(sample.page, f"acknowledged {number}")
        line = session.wait(lambda text: synced(text) is not None, behind=behind)
        if number >= 0:
            samples.append(line.at - started)
    return [Figure("save (in place) → acknowledged", "s", tuple(samples), "p50 ≤ 10 ms, p99 ≤ 40 ms")]


def restarted(sample: Sample, container: Container, count: int) -> list[Figure]:
    """From before a save of the source until the new process answers, and what the server's start takes by itself."""
    page = Page(container.address)
    sample.page.write_text("restarted")
    page.until(b"restarted 0")
    samples = []
    for number in range(1, count + WARM_UP + 1):
        pause()
        started = time.perf_counter()
        in_place(sample.server, SERVER.replace('"0"', f'"{number}"'))
        arrived = page.until(f"restarted {number}".encode())
        if number > WARM_UP:
            samples.append(arrived - started)
    in_place(sample.server, SERVER)
    page.until(b"restarted 0")
    page.close()
    own = own_starts(container)
    saved = Figure("save of the source → the restarted server answers", "s", tuple(samples))
    beyond = Figure("… beyond the server's own start (medians)", "s", (saved.median - own.median,), "≤ 50 ms")
    return [saved, own, beyond]


def own_starts(container: Container) -> Figure:
    """The same server in the same container on another port, started without any tool."""
    samples = []
    page = Page(container.address, OWN_PORT)
    for _ in range(OWN_STARTS):
        started = time.perf_counter()
        process = container.enter("python", "/app/server.py", str(OWN_PORT))
        try:
            samples.append(page.until(b"restarted 0") - started)
        finally:
            page.close()
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            wait_gone(page)
    return Figure("… the server's own start", "s", tuple(samples))


def wait_gone(page: Page) -> None:
    """Wait until the port is free again."""
    while page.get():
        page.close()
        time.sleep(0.01)
    page.close()


def pause() -> None:
    time.sleep(random.uniform(*PAUSE_SECONDS))
