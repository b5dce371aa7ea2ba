"""Builds Argo CD's own controllers from their Go module, for the tests and the demo; 4 minutes on two cores.

The result is kept outside the checkout by content: a folder with the program, a link per component, and ``crds/`` with
the CustomResourceDefinitions of the same version. The user's Go is used, as for the built-in cluster.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from innerloop.paths import cache_dir

SOURCES = Path(__file__).parent
COMPONENTS = ("argocd-application-controller", "argocd-applicationset-controller", "argocd-repo-server")
MODULE = "github.com/argoproj/argo-cd/v3"
CRDS = ("application-crd.yaml", "applicationset-crd.yaml", "appproject-crd.yaml")
FLAGS = ("-trimpath", "-ldflags=-s -w")
ENVIRONMENT = {"CGO_ENABLED": "0"}


def main() -> None:
    print(build())


def build() -> Path:
    """The folder, compiled unless the same sources were compiled before; of two at once, one waits for the other."""
    cache = cache_dir() / "argocd"
    cache.mkdir(parents=True, exist_ok=True)
    result = cache / _content_hash()
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            print("compiling Argo CD's controllers (the first time takes minutes)", flush=True)
            with tempfile.TemporaryDirectory(dir=cache, prefix=".building-") as building:
                _compile(Path(building) / "made").rename(result)
    return result


def _compile(folder: Path) -> Path:
    (folder / "crds").mkdir(parents=True)
    # the machine stays usable meanwhile
    polite = ["nice", "-n", "10"] if shutil.which("nice") else []
    _go([*polite, "go", "build", *FLAGS, "-o", str(folder / "argocd"), "."])
    for name in COMPONENTS:
        (folder / name).symlink_to("argocd")
    module = Path(_go(["go", "list", "-m", "-f", "{{.Dir}}", MODULE]).strip())
    for name in CRDS:
        shutil.copyfile(module / "manifests/crds" / name, folder / "crds" / name)
    return folder


def _go(command: list[str]) -> str:
    environment = {**os.environ, **ENVIRONMENT}
    return subprocess.run(command, cwd=SOURCES, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def _content_hash() -> str:
    version = re.search(r"\bgo\d\S+", _go(["go", "version"]))
    digest = hashlib.sha256(repr((version and version[0], FLAGS, ENVIRONMENT, CRDS)).encode())
    for name in ("main.go", "go.mod", "go.sum"):
        digest.update(f"{name}\0".encode() + (SOURCES / name).read_bytes())
    return digest.hexdigest()[:32]


if __name__ == "__main__":
    main()
