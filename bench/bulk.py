"""Many files at once: the first sync, all there already, a branch switch, each beside tar over kubectl exec."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from bench.cluster import environment, kubectl_command
from bench.container import Container, container, first_write, last_change, wait_equal
from bench.measuring import Figure, NotMeasured
from bench.sample import CHANGED, FILES, NAME, Sample, changed, contents, fill, git, paths
from bench.tools import Tool, bytes_sent

SWITCHES = 6
STARTS = 3
BOUND = "/bound"
"""Where tar unpacks: a folder of the container beside the synced one, in the same state."""
EXEC_TAR = "`tar c …` through `kubectl exec -i … tar x`"


def first_syncs(tool: Tool, sample: Sample) -> list[Figure]:
    """Starts of a session that has nothing to sync, all files, and only to see that all are there."""
    with tool.develop(sample):
        found = container(sample)
    nothing = [started(tool, sample)[0] for _ in range(STARTS)]
    fill(sample.tree)
    bounds, everything, there = [], [], []
    for _ in range(STARTS):
        empty(found.place(BOUND))
        bounds.append(tar_over_exec(sample, found, paths()))
        empty(found.place("/tree"))
        everything.append(started(tool, sample))
        wait_equal(found.place("/tree"), contents("main"))
        there.append(started(tool, sample))
    floor = Figure("start, nothing to sync → ready", "s", tuple(nothing))
    bound = Figure(f"{EXEC_TAR} of {FILES:,} files", "s", tuple(bounds))
    return [
        floor,
        bound,
        *told(f"{FILES:,} files of 4 KB to send", everything, floor, f"≤ {1.5 * bound.median:.2f} s"),
        *told(f"{FILES:,} files, all there", there, floor, "≤ 1.0 s, 0 bytes"),
    ]


def told(name: str, starts: list[tuple[float, int]], floor: Figure, goal: str) -> list[Figure]:
    whole = Figure(f"start, {name} → ready", "s", tuple(seconds for seconds, _ in starts))
    beyond = Figure("… beyond a start with nothing to sync", "s", (whole.median - floor.median,), goal)
    return [whole, beyond, Figure("… bytes of files sent, as it says", "", tuple(size for _, size in starts))]


def started(tool: Tool, sample: Sample) -> tuple[float, int]:
    """Seconds from calling the tool to its being ready, and the bytes of files that it says it sent."""
    with tool.develop(sample) as session:
        return time.perf_counter() - session.started, bytes_sent(session)


def switches(sample: Sample, found: Container) -> list[Figure]:
    """Branch switches in a session, each beside tar over exec of the same files, from the first write on."""
    found.place(BOUND).mkdir(exist_ok=True)
    ours, written, bounds = [], [], []
    for number in range(SWITCHES):
        branch = ("other", "main")[number % 2]
        git(sample.folder, "checkout", "--quiet", branch)
        arrived = wait_equal(found.place("/tree"), contents(branch, changed()))
        began = first_write(sample.tree, changed())
        ours.append(arrived - began)
        written.append(last_change(sample.tree, changed()) - began)
        bounds.append(tar_over_exec(sample, found, changed()))
    switched = Figure(f"branch switch, {CHANGED:,} of {FILES:,} files → all equal", "s", tuple(ours))
    bound = Figure(f"{EXEC_TAR} of the same files", "s", tuple(bounds))
    return [
        switched,
        Figure("… of which git writes", "s", tuple(written)),
        bound,
        Figure("… ratio, medians", "×", (switched.median / bound.median,), "≤ 1.5"),
    ]


def empty(folder: Path) -> None:
    """Make a folder of a container have nothing in it."""
    folder.mkdir(exist_ok=True)
    for place in folder.iterdir():
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink()


def tar_over_exec(sample: Sample, container: Container, some: list[str]) -> float:
    """Seconds that it takes to bring files of the tree to BOUND by the means that everybody has."""
    command = kubectl_command(
        "exec", "--stdin", "--namespace", sample.namespace, container.pod, "--container", NAME, "--"
    )
    names = "\n".join(some).encode()
    started = time.perf_counter()
    packing = subprocess.Popen(
        ["tar", "c", "-C", sample.tree, "-T", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    unpacking = subprocess.Popen(
        [*command, "tar", "x", "-C", BOUND], stdin=packing.stdout, env={**os.environ, **environment()}
    )
    assert packing.stdin and packing.stdout
    packing.stdout.close()
    packing.stdin.write(names)
    packing.stdin.close()
    if packing.wait() or unpacking.wait():
        raise NotMeasured("tar over kubectl exec failed")
    return time.perf_counter() - started
