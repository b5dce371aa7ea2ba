"""The main job's figures: help, render, dev with nothing changed, first dev, 300 Deployments, idle memory.

``python -m bench.main_job [--json FILE] [--only NAME…]`` on a cluster that is up; ``make bench`` brings one up first.
Works on a copy of ``examples/vote`` in a namespace of its own, and removes both.
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
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bench.measuring import Figure, command, table, timed

REPOSITORY = Path(__file__).resolve().parents[1]
LOOP = Path(sys.executable).with_name("loop")
NAMESPACE = "innerloop-bench"
DEPLOYMENTS = 300
IDLE_SECONDS = 10.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--json", type=Path, help="also write all samples to a file")
    arguments.add_argument("--only", nargs="*", choices=list(BENCHES), default=list(BENCHES))
    chosen = arguments.parse_args()
    figures: list[Figure] = []
    with project() as folder:
        for name in chosen.only:
            print(f"{name} …", flush=True)
            figures += BENCHES[name](folder)
    print(table(figures))
    if chosen.json:
        chosen.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))


@contextlib.contextmanager
def project() -> Iterator[Path]:
    """A copy of the sample that is deployed nowhere before and after."""
    with tempfile.TemporaryDirectory(prefix="innerloop-bench-") as folder:
        target = Path(folder) / "vote"
        shutil.copytree(REPOSITORY / "examples/vote", target, ignore=shutil.ignore_patterns(".loop", ".env"))
        shutil.copy(target / ".env.template", target / ".env")
        command([LOOP, "use", "context", os.environ.get("LOOP_CONTEXT", "innerloop")], cwd=target)()
        command([LOOP, "use", "namespace", NAMESPACE], cwd=target)()
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
        before = cpu_seconds(process.pid)
        time.sleep(IDLE_SECONDS)
        cpu = (cpu_seconds(process.pid) - before) / IDLE_SECONDS * 100
        return [
            Figure("memory of the idle session (resident)", "MB", (resident_megabytes(process.pid),), "≤ 80 MB"),
            Figure("processor of the idle session", "% of a core", (cpu,), "< 1 %"),
        ]


def many_deployments(folder: Path) -> list[Figure]:
    """300 Deployments without replicas, by us and by kubectl in turn: the ratio within one run counts."""
    many = folder.parent / "many"
    many.mkdir()
    (many / "loop.yaml").write_text("name: many\nmanifests:\n  - files: all.yaml\n")
    (many / "all.yaml").write_text("".join(deployment(number) for number in range(DEPLOYMENTS)))
    choices: list[str | Path] = [LOOP, "use", "context", os.environ.get("LOOP_CONTEXT", "innerloop")]
    command(choices, cwd=many)()
    command([LOOP, "use", "namespace", f"{NAMESPACE}-many"], cwd=many)()
    kubectl = kubectl_apply(many)
    try:
        ours = timed(command([LOOP, "deploy"], cwd=many), runs=5)
        theirs = timed(kubectl, runs=5)
    finally:
        command([LOOP, "purge"], cwd=many)()
    return [
        Figure(f"`loop deploy` of {DEPLOYMENTS} Deployments, again", "s", ours),
        Figure("`kubectl apply --server-side` of the same", "s", theirs),
        Figure("ratio of the medians", "×", (Figure("", "", ours).median / Figure("", "", theirs).median,), "≤ 1"),
    ]


BENCHES: dict[str, Callable[[Path], list[Figure]]] = {
    "help": help_text,
    "render": render,
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


def kubectl_apply(folder: Path) -> Callable[[], str]:
    """``kubectl apply --server-side`` of the same manifests with the same kubeconfig, as another field manager."""
    env = command([LOOP, "config", "-o", "json"], cwd=folder)()
    context = msgspec.json.decode(env)["context"]
    config = Path.home() / ".local/state/innerloop/clusters" / context / "kubeconfig"
    where = ["--kubeconfig", str(config)] if config.is_file() else []
    options = ["--context", context, "-n", f"{NAMESPACE}-many", "--field-manager", "bench", "--force-conflicts"]
    return command(["kubectl", *where, "apply", "--server-side", *options, "-f", str(folder / "all.yaml")])


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


def resident_megabytes(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1000


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
