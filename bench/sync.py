"""The sync benchmark: from a save to what runs, many files at once, lost edits, idle cost; peers in the same run.

``python -m bench.sync [--only NAME…] [--saves N] [--json FILE]`` on a cluster whose node is this machine;
``make bench`` brings one up first. DevSpace, Skaffold and Tilt do the same jobs where they are on PATH. Prints a table,
then everything as one line of JSON. Works in temporary folders and namespaces of its own, and removes them, also when
it is interrupted.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

import msgspec

from bench import bulk, saving
from bench.container import container
from bench.idling import idle
from bench.machine import machine
from bench.measuring import Figure, NotMeasured
from bench.peers import DevSpace, Skaffold, Tilt
from bench.results import Result, markdown
from bench.sample import fill, sample
from bench.tools import Loop, Tool
from bench.torture import torture

SAVES = 50
TOOLS: tuple[Tool, ...] = (Loop(), DevSpace(), Skaffold(), Tilt())
SMALL = ("saves", "acknowledged", "restart", "torture")
LARGE = ("initial", "switch", "idle")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--json", type=Path, help="also write the line of JSON to a file")
    arguments.add_argument("--only", nargs="*", choices=[*SMALL, *LARGE], default=[*SMALL, *LARGE])
    arguments.add_argument("--saves", type=int, default=SAVES, help=f"saves of each kind, {SAVES} unless told")
    chosen = arguments.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    # modules are compiled once, as in any installation
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    before = machine()
    results: list[Result] = []
    try:
        for tool in TOOLS:
            results.extend(measured(tool, chosen.only, chosen.saves))
    finally:
        line = msgspec.json.encode({"before": before, "after": machine(), "results": results})
        print(f"\n{markdown(results)}\n\n{line.decode()}")
        if chosen.json:
            chosen.json.write_bytes(line + b"\n")


def measured(tool: Tool, only: Collection[str], saves: int) -> Iterator[Result]:
    version = tool.version()
    if version is None:
        yield Result(tool.name, note="not on PATH, left out")
        return
    name = f"{tool.name} {version}".rstrip()
    for jobs in (partial(small, saves=saves), large):
        try:
            for figure in jobs(tool, only):
                # the goals are ours
                yield Result(name, figure if isinstance(tool, Loop) else msgspec.structs.replace(figure, goal=""))
        except NotMeasured as error:
            yield Result(name, note=str(error))


def small(tool: Tool, only: Collection[str], *, saves: int) -> Iterator[Figure]:
    """Few files: what a save takes."""
    if not set(SMALL) & set(only):
        return
    with sample(tool.name) as project:
        tool.configure(project)
        with tool.develop(project) as session:
            found = container(project)
            if "saves" in only:
                print(f"{tool.name}: saves …", flush=True)
                yield from saving.served(project, found, saves)
            if "acknowledged" in only and isinstance(tool, Loop):
                print(f"{tool.name}: acknowledged saves …", flush=True)
                yield from saving.acknowledged(project, session, saves)
            if "restart" in only and isinstance(tool, Loop):
                print(f"{tool.name}: restarts …", flush=True)
                yield from saving.restarted(project, found, saves)
            if "torture" in only:
                print(f"{tool.name}: torture …", flush=True)
                yield from torture(project, found)


def large(tool: Tool, only: Collection[str]) -> Iterator[Figure]:
    """Many files."""
    if not set(LARGE) & set(only):
        return
    with sample(tool.name, full=not tool.syncs_at_start) as project:
        tool.configure(project)
        if "initial" in only and tool.syncs_at_start:
            print(f"{tool.name}: first syncs …", flush=True)
            yield from bulk.first_syncs(tool, project)
        elif tool.syncs_at_start:
            fill(project.tree)
        with tool.develop(project) as session:
            found = container(project)
            if "switch" in only:
                print(f"{tool.name}: branch switches …", flush=True)
                yield from bulk.switches(project, found)
            if "idle" in only:
                print(f"{tool.name}: idle …", flush=True)
                yield from idle(session, found)


if __name__ == "__main__":
    main()
