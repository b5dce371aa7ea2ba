"""The main job's figures: help, render, environments, first and unchanged dev, 300 Deployments, an idle session.

``python -m bench.main_job [--json FILE] [--only NAME…]`` on a cluster that is up; ``make bench`` brings one up first.
Prints a table, then everything as one line of JSON. Works on a copy of ``examples/vote`` in namespaces of its own, and
removes all of it, also when it is interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from bench.cluster import LOOP, REPOSITORY, choose, free_port, kubectl
from bench.machine import cpu_seconds, machine, resident_megabytes
from bench.measuring import Figure, command, seconds, table, timed

NAMESPACE = "innerloop-bench"
DEPLOYMENTS = 300
OBJECTS = 200
ENVIRONMENTS = 10
IDLE_SECONDS = 10.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--json", type=Path, help="also write the line of JSON to a file")
    arguments.add_argument("--only", nargs="*", choices=list(BENCHES), default=list(BENCHES))
    chosen = arguments.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    # modules are compiled once, as in any installation
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    before = machine()
    figures: list[Figure] = []
    with project() as folder:
        for name in chosen.only:
            print(f"{name} …", flush=True)
            figures += BENCHES[name](folder)
    line = msgspec.json.encode({"before": before, "after": machine(), "figures": figures})
    print(f"\n{table(figures)}\n\n{line.decode()}")
    if chosen.json:
        chosen.json.write_bytes(line + b"\n")


@contextlib.contextmanager
def project() -> Iterator[Path]:
    """A clone of the sample that is deployed nowhere before and after, with a port that nobody else forwards."""
    with tempfile.TemporaryDirectory(prefix="innerloop-bench-") as folder:
        target = Path(folder) / "vote"
        shutil.copytree(REPOSITORY / "examples/vote", target, ignore=shutil.ignore_patterns(".loop", ".env"))
        shutil.copy(target / ".env.template", target / ".env")
        file = target / "loop.yaml"
        file.write_text(file.read_text().replace("8085", str(free_port())))
        if shutil.which("git"):
            command(["git", "init", "--quiet"], cwd=target)()
            command(["git", "remote", "add", "origin", "https://git.example.com/vote.git"], cwd=target)()
            command(["git", "add", "--all"], cwd=target)()
        choose(target, NAMESPACE)
        try:
            yield target
        finally:
            command([LOOP, "purge"], cwd=target)()


def help_text(folder: Path) -> list[Figure]:
    python = timed(command([sys.executable, "-c", "pass"]), runs=20)
    return [
        Figure("`loop --help`", "s", timed(command([LOOP, "--help"]), runs=20), "≤ 100 ms"),
        Figure("bare Python, for scale", "s", python),
    ]


def render(folder: Path) -> list[Figure]:
    return [Figure("`loop render` of vote", "s", timed(command([LOOP, "render"], cwd=folder), runs=20), "≤ 300 ms")]


def environments(folder: Path) -> list[Figure]:
    """The sample's, and a chart of many objects in many environments: one call each, after a first one for all."""
    vote = timed(command([LOOP, "render", "--env", "dev"], cwd=folder), runs=20)
    many = folder.parent / "environments"
    (many / "chart/templates").mkdir(parents=True)
    names = [f"env{number}" for number in range(ENVIRONMENTS)]
    lines = "".join(f"  {name}: {{namespace: many-{name}}}\n" for name in names)
    (many / "loop.yaml").write_text(f"name: many\nmanifests: [{{helm: chart}}]\nenvironments:\n{lines}")
    (many / "chart/Chart.yaml").write_text("apiVersion: v2\nname: many\nversion: 0.1.0\n")
    for number in range(OBJECTS):
        (many / f"chart/templates/{number}.yaml").write_text(deployment(number))
    renders = [command([LOOP, "render", "--env", name], cwd=many) for name in names]

    def all_of_them() -> None:
        for render in renders:
            render()

    first = seconds(all_of_them)
    title = f"`loop render --env` of {OBJECTS} objects, {ENVIRONMENTS} environments one after the other"
    return [
        Figure("`loop render --env` of vote", "s", vote, "≤ 300 ms"),
        Figure(title, "s", timed(all_of_them, runs=5, warm_up=0), "≤ 5 s"),
        Figure("… the first time, with the proof that they come out the same again", "s", (first,)),
    ]


def first_dev(folder: Path) -> list[Figure]:
    """Nothing deployed, images built before: what a developer waits for in the morning."""
    samples = []
    for _ in range(3):
        command([LOOP, "purge"], cwd=folder)()
        samples.append(until_ready(folder))
    return [Figure("first `loop dev` of vote on a warm node → ready to edit", "s", tuple(samples), "≤ 15 s")]


def unchanged_dev(folder: Path) -> list[Figure]:
    until_ready(folder)
    samples = tuple(until_ready(folder) for _ in range(20))
    return [Figure("`loop dev` of vote, nothing changed → ready to edit", "s", samples, "≤ 1.0 s")]


def idle(folder: Path) -> list[Figure]:
    with developing(folder) as process:
        before = cpu_seconds([process.pid])
        time.sleep(IDLE_SECONDS)
        cpu = (cpu_seconds([process.pid]) - before) / IDLE_SECONDS * 100
        return [
            Figure("memory of the idle session (resident)", "MB", (resident_megabytes([process.pid]),), "≤ 80 MB"),
            Figure("processor of the idle session", "% of a core", (cpu,), "< 1 %"),
        ]


def many_deployments(folder: Path) -> list[Figure]:
    """Deployments without replicas, by us and by kubectl in turn, each in a namespace of its own.

    The ratios within one run count, of the time until all is applied: kubectl does not wait for readiness.
    """
    many = folder.parent / "many"
    many.mkdir()
    (many / "loop.yaml").write_text("name: many\nmanifests:\n  - files: all.yaml\n")
    (many / "all.yaml").write_text("".join(deployment(number) for number in range(DEPLOYMENTS)))
    choose(many, f"{NAMESPACE}-many")
    version = msgspec.json.decode(kubectl("version", "--client", "--output", "json")())["clientVersion"]["gitVersion"]
    theirs = f"{NAMESPACE}-kubectl"
    by_us = partial(deploying, many)
    by_kubectl = kubectl("apply", "--server-side", "--namespace", theirs, "--filename", str(many / "all.yaml"))
    try:
        kubectl("create", "namespace", theirs)()
        first = [(by_us(), seconds(by_kubectl))]
        again = [(by_us(), seconds(by_kubectl)) for _ in range(5)]
    finally:
        command([LOOP, "purge"], cwd=many)()
        kubectl("delete", "namespace", theirs, "--ignore-not-found")()
    return [
        *compared(f"{DEPLOYMENTS} Deployments, created", version, first),
        *compared(f"{DEPLOYMENTS} Deployments, nothing changed", version, again),
    ]


def deploying(folder: Path) -> tuple[float, float]:
    """Seconds from calling ``loop deploy`` until all is applied, inventory included, and until all is ready."""
    started = time.perf_counter()
    applied = 0.0
    process = subprocess.Popen([LOOP, "deploy", "-o", "json"], cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if '"event":"step-done","step":"apply"' in line:
            applied = time.perf_counter() - started
    if process.wait() or not applied:
        raise SystemExit("loop deploy failed")
    return applied, time.perf_counter() - started


def compared(name: str, version: str, rounds: Sequence[tuple[tuple[float, float], float]]) -> list[Figure]:
    ours = Figure(f"`loop deploy` of {name}: applied", "s", tuple(times[0] for times, _ in rounds))
    ready = Figure("… until ready", "s", tuple(times[1] for times, _ in rounds))
    theirs = Figure(f"`kubectl apply --server-side` of the same ({version})", "s", tuple(time for _, time in rounds))
    return [ours, ready, theirs, Figure("ratio of applied, medians", "×", (ours.median / theirs.median,), "≤ 1")]


BENCHES: dict[str, Callable[[Path], list[Figure]]] = {
    "help": help_text,
    "render": render,
    "environments": environments,
    "first-dev": first_dev,
    "unchanged-dev": unchanged_dev,
    "idle": idle,
    "many-deployments": many_deployments,
}


def until_ready(folder: Path) -> float:
    """Seconds from calling ``loop dev`` to its event ``ready``; the session is ended then."""
    started = time.perf_counter()
    with developing(folder):
        return time.perf_counter() - started


@contextlib.contextmanager
def developing(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A session that is ready."""
    process = subprocess.Popen([LOOP, "dev", "-o", "json"], cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if '"event":"ready"' in line:
                break
        else:
            raise SystemExit("loop dev ended before it was ready:\n" + "".join(lines[-20:]))
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        process.wait()


def deployment(number: int) -> str:
    return f"""apiVersion: apps/v1
kind: Deployment
metadata: {{name: many-{number:03}, labels: {{app: many-{number:03}}}}}
spec:
  replicas: 0
  selector: {{matchLabels: {{app: many-{number:03}}}}}
  template:
    metadata: {{labels: {{app: many-{number:03}}}}}
    spec:
      containers:
        - {{name: main, image: "busybox:1.36", command: [sleep, "3600"]}}
---
"""


if __name__ == "__main__":
    main()
