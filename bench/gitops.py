"""The outer loop's figures: differences against a GitOps repository of 5,000 files.

``python -m bench.gitops [--json FILE]``, without a cluster and without a network: the repository is a folder. Prints a
table, then everything as one line of JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.cluster import LOOP
from bench.machine import machine
from bench.measuring import Figure, command, table, timed

ENVIRONMENTS = 10
OBJECTS = 200
"""Of the project, in each of its environments."""
FILES = 5000
"""Of the repository; what the project has not is other projects'."""

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web-%03d
  labels: {app: web, tier: front}
spec:
  replicas: 2
  selector: {matchLabels: {app: web-%03d}}
  template:
    metadata: {labels: {app: web-%03d}}
    spec:
      containers:
        - name: web
          image: registry.example.com/shop/web:1
          env: [{name: TITLE, value: "${TITLE}"}, {name: LEVEL, value: info}]
          ports: [{containerPort: 8080, name: http}]
          resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}
          readinessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 5}
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--json", type=Path, help="also write the line of JSON to a file")
    chosen = arguments.parse_args()
    # modules are compiled once, as in any installation
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    before = machine()
    with project() as folder:
        figures = differences(folder)
    line = msgspec.json.encode({"before": before, "after": machine(), "figures": figures})
    print(f"\n{table(figures)}\n\n{line.decode()}")
    if chosen.json:
        chosen.json.write_bytes(line + b"\n")


def differences(folder: Path) -> list[Figure]:
    """Behind a first call, which clones."""
    one: list[str | Path] = [LOOP, "diff", "--env", "env-0"]
    every: list[str | Path] = [LOOP, "diff", "--all-envs"]
    all_changed: list[str | Path] = [*one, "--set", "TITLE=Birds"]
    own = {"XDG_CACHE_HOME": str(folder.parent / "cache"), "XDG_STATE_HOME": str(folder.parent / "state")}
    what = f"`loop diff --env`, {OBJECTS} objects in a repository of {FILES:,} files"
    return [
        Figure(f"{what}: none differs", "s", timed(command(one, cwd=folder, env=own), runs=20), "≤ 2 s"),
        Figure("… all differ", "s", timed(command(all_changed, cwd=folder, env=own), runs=20), "≤ 2 s"),
        Figure(
            f"`loop diff --all-envs`, {ENVIRONMENTS} environments of it",
            "s",
            timed(command(every, cwd=folder, env=own), runs=5),
        ),
    ]


@contextlib.contextmanager
def project() -> Iterator[Path]:
    """A project whose environments are in a repository with the files of many others."""
    with tempfile.TemporaryDirectory(prefix="innerloop-bench-") as temporary:
        target = Path(temporary) / "shop"
        remote = Path(temporary) / "ops.git"
        (target / "deploy").mkdir(parents=True)
        for number in range(OBJECTS):
            (target / f"deploy/{number:03}.yaml").write_text(DEPLOYMENT % ((number,) * 3))
        names = [f"env-{number}" for number in range(ENVIRONMENTS)]
        environments = "".join(f"  {name}: {{namespace: shop-{name}}}\n" for name in names)
        (target / "loop.yaml").write_text(
            f"name: shop\nvariables: {{TITLE: Cats}}\nmanifests: [{{files: deploy/*.yaml}}]\n"
            f"environments:\n{environments}gitops: {{repository: '{remote}'}}\n"
        )
        _fill(remote, target, names)
        yield target


def _fill(remote: Path, target: Path, names: list[str]) -> None:
    """The first commit: what the project renders to, and other projects."""
    work = remote.parent / "work"
    for name in names:
        folder = work / name / "shop"
        command([LOOP, "render", "--env", name, "--output", folder], cwd=target)()
    others = FILES - ENVIRONMENTS * OBJECTS
    for number in range(others):
        file = work / names[number % ENVIRONMENTS] / f"other-{number % 97}" / f"deployment-{number}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(DEPLOYMENT % ((number,) * 3))
    git = ["git", "-C", str(work), "-c", "user.name=Bench", "-c", "user.email=bench@example.com"]
    subprocess.run([*git, "init", "--quiet", "--initial-branch=main"], check=True)
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "Promote"], check=True)
    subprocess.run([*git, "clone", "--quiet", "--bare", str(work), str(remote)], check=True)


if __name__ == "__main__":
    main()
