"""Many saves at random moments while a reader in the container looks: is any lost, torn, or out of order?

Each version of a file says which it is, and ends with a checksum: what a reader sees is one whole version, or torn.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.cluster import environment, kubectl_command
from bench.container import Container
from bench.measuring import Figure
from bench.sample import NAME, Sample
from bench.saving import SAVES

SAVES_COUNT = 1000
FILES = 200
SECONDS = 16.0
SETTLE_SECONDS = 15.0
SIZES = (200, 2_000, 20_000)
SAME_MILLISECOND = 0.3
SAME_SECOND = 0.15
"""Shares of saves that are followed by another of equal size at once, or later within the same second of the clock."""

READER = """\
import json, os, sys, threading, time, zlib

folder = sys.argv[1]
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
seen, torn, backwards, looks = {}, [], [], 0
print("reading", flush=True)
while not ended.is_set():
    for name in os.listdir(folder):
        if not name.startswith("file-"):
            continue
        try:
            with open(os.path.join(folder, name), "rb") as file:
                data = file.read()
        except FileNotFoundError:
            continue
        looks += 1
        text, _, checksum = data.rpartition(b" ")
        if checksum != b"%08x" % zlib.crc32(text):
            torn.append([name, len(data)])
            continue
        version = int(text.split(b" ", 1)[0])
        if version < seen.get(name, 0):
            backwards.append([name, seen[name], version])
        seen[name] = max(version, seen.get(name, 0))
    time.sleep(0.002)
print(json.dumps({"looks": looks, "torn": torn, "backwards": backwards}))
"""


class Seen(msgspec.Struct, frozen=True):
    """What the reader saw."""

    looks: int
    torn: list[tuple[str, int]]
    """Name and size."""
    backwards: list[tuple[str, int, int]]
    """Name, a version, and the older one that was seen after it."""


class Step(NamedTuple):
    at: float
    """Seconds from the beginning."""
    file: int
    size: int
    save: str
    """Name in SAVES."""


def schedule(seed: int) -> list[Step]:
    """SAVES_COUNT saves in the order of time; of pairs, the second has the size of the first."""
    source = random.Random(seed)
    steps: list[Step] = []
    while len(steps) < SAVES_COUNT:
        step = Step(
            source.uniform(0, SECONDS - 1), source.randrange(FILES), source.choice(SIZES), source.choice(list(SAVES))
        )
        steps.append(step)
        kind = source.random()
        if kind < SAME_MILLISECOND:
            steps.append(step)
        elif kind < SAME_MILLISECOND + SAME_SECOND:
            steps.append(step._replace(at=source.uniform(step.at, step.at // 1 + 0.98)))
    return sorted(steps[:SAVES_COUNT])


def version(number: int, size: int) -> bytes:
    """A file's content: its version's number, filling, a checksum; ``size`` bytes."""
    text = f"{number} ".encode()
    text += b"x" * (size - len(text) - 9)
    return text + b" %08x" % zlib.crc32(text)


def torture(sample: Sample, container: Container) -> list[Figure]:
    """Raises CalledProcessError when the reader fails."""
    folder = sample.folder / "app/torture"
    folder.mkdir()
    numbers = dict.fromkeys(range(FILES), 0)
    last: dict[int, bytes] = {}
    for file in range(FILES):
        last[file] = version(0, SIZES[0])
        place(folder, file).write_bytes(last[file])
    remote = container.place("/app/torture")
    settle(remote, last)
    with reading(sample, container) as reader:
        # whole seconds of the clock begin where the schedule's do
        begun = time.time()
        begun += 1 - begun % 1
        for step in schedule(seed=1):
            time.sleep(max(0.0, begun + step.at - time.time()))
            numbers[step.file] += 1
            last[step.file] = version(numbers[step.file], step.size)
            SAVES[step.save](place(folder, step.file), last[step.file].decode())
        wrong = settle(remote, last)
        told = stop(reader)
    return [
        Figure(f"{SAVES_COUNT} random saves: files wrong {SETTLE_SECONDS:.0f} s later", "", (wrong,), "0"),
        Figure("… torn content seen", "", (len(told.torn),), "0"),
        Figure("… older content seen after newer", "", (len(told.backwards),), "0"),
        Figure("… looks of the reader", "", (told.looks,)),
    ]


def place(folder: Path, file: int) -> Path:
    return folder / f"file-{file:03}"


def settle(remote: Path, last: dict[int, bytes]) -> int:
    """Files that are not what was saved last, once none is, or SETTLE_SECONDS later."""
    deadline = time.monotonic() + SETTLE_SECONDS
    left = dict(last)
    while left and time.monotonic() < deadline:
        for file, content in list(left.items()):
            with contextlib.suppress(OSError):
                if place(remote, file).read_bytes() == content:
                    del left[file]
        time.sleep(0.1)
    return len(left)


@contextlib.contextmanager
def reading(sample: Sample, container: Container) -> Iterator[subprocess.Popen[str]]:
    """The reader, by an exec of its own; it tells what it saw when its input ends."""
    command = kubectl_command(
        "exec", "--stdin", "--namespace", sample.namespace, container.pod, "--container", NAME, "--"
    )
    process = subprocess.Popen(
        [*command, "python", "-c", READER, "/app/torture"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment()},
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()


def stop(reader: subprocess.Popen[str]) -> Seen:
    output, _ = reader.communicate("", timeout=30)
    return msgspec.json.decode(output, type=Seen)
