"""Reads the files of ``saving_program`` over and over, in the container: python -c … FOLDER MARK.

Ends when MARK exists; prints as JSON how often it read, and what was wrong: contents that are none (torn), and files
that went back to an earlier content. Needs nothing but Python.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys


def check(path: str, newest: dict[str, int], wrong: list[str]) -> bool:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return False
    body, checksum = data[:-64], data[-64:]
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        wrong.append(f"torn: {path}: {len(data)} bytes beginning with {data[:20]!r}")
        return True
    number = int(body.split(b" ", 2)[1])
    if number < newest.get(path, 0):
        wrong.append(f"back: {path}: {number} after {newest[path]}")
    newest[path] = max(number, newest.get(path, 0))
    return True


def main(folder: str, mark: str) -> None:
    newest: dict[str, int] = {}
    wrong: list[str] = []
    reads = 0
    while not os.path.exists(mark):
        for base, _, names in os.walk(folder):
            for name in names:
                if name.endswith(".txt"):
                    reads += check(os.path.join(base, name), newest, wrong)
    print(json.dumps({"reads": reads, "files": len(newest), "wrong": wrong}))


main(*sys.argv[1:])
