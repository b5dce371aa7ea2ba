"""Saves files as editors do, at random times: python -m tests.dev.saving_program FOLDER SEED SAVES SECONDS.

Each content carries its file's number, how many saves of the file came before, and its own checksum. Of all saves,
30 % are followed at once by another of equal size; half of these get the very time of modification of the first.
A program of its own, because an editor is one: it writes while the sync reads.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

FILES = 200
_SIZES = (200, 200, 1_000, 5_000, 60_000, 300_000)
"""Smaller and larger than what is read and sent at once."""


def content(file: int, number: int, size: int) -> bytes:
    head = f"{file} {number} ".encode()
    body = head + random.randbytes(size // 2).hex().encode()[: size - len(head) - 64]
    return body + hashlib.sha256(body).hexdigest().encode()


def save(path: Path, data: bytes) -> None:
    way = random.choice(("in place", "rename over", "delete and create"))
    if way == "rename over":
        temporary = path.with_name(f"{path.name}~")
        temporary.write_bytes(data)
        temporary.replace(path)
        return
    if way == "delete and create":
        path.unlink(missing_ok=True)
    path.write_bytes(data)


def main(folder: Path, seed: str, saves: int, seconds: float) -> None:
    random.seed(seed)
    numbers: Counter[int] = Counter()
    start = time.monotonic()
    times = sorted(random.uniform(0, seconds) for _ in range(saves))
    while times:
        at = times.pop(0)
        time.sleep(max(0.0, start + at - time.monotonic()))
        file, size = random.randrange(FILES), random.choice(_SIZES)
        path = folder / f"{file % 20}" / f"{file}.txt"
        path.parent.mkdir(exist_ok=True)
        save(path, content(file, numbers[file], size))
        numbers[file] += 1
        if times and random.random() < 0.3:
            times.pop(0)
            first = path.stat()
            save(path, content(file, numbers[file], size))
            numbers[file] += 1
            if random.random() < 0.5:
                os.utime(path, ns=(first.st_atime_ns, first.st_mtime_ns))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
