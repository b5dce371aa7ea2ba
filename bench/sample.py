"""The project that every tool develops: a tiny Python server in a folder, and beside it a tree of many files."""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.cluster import LOOP, choose, kubectl
from bench.measuring import command

NAME = "bench"
PORT = 8000
FILES = 20_000
CHANGED = 2_000
FOLDERS = 100
FILE_SIZE = 4096

SERVER = """\
import http.server
import sys

VERSION = "0"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def do_GET(self):
        with open("/app/page.txt", "rb") as file:
            page = file.read() + b" " + VERSION.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
"""

DOCKERFILE = """\
FROM python:3.12-slim
COPY app /app
COPY tree /tree
"""

MANIFEST = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {NAME}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {NAME}}}}}
  template:
    metadata: {{labels: {{app: {NAME}}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: {NAME}
          image: IMAGE
          command: [python, /app/server.py, "{PORT}"]
"""


class Sample(NamedTuple):
    folder: Path
    namespace: str
    image: str
    """What the cluster runs: in its registry, with ``app`` of the folder in /app."""

    @property
    def home(self) -> Path:
        """For what tools keep in a home folder."""
        return self.folder.parent / "home"

    @property
    def server(self) -> Path:
        return self.folder / "app/server.py"

    @property
    def page(self) -> Path:
        return self.folder / "app/page.txt"

    @property
    def tree(self) -> Path:
        """Synced to /tree."""
        return self.folder / "tree"

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)


@contextlib.contextmanager
def sample(tool: str, *, full: bool = False) -> Iterator[Sample]:
    """The project in a folder and a namespace of its own, which is removed afterwards, for one tool.

    ``full``: with the many files, also in the image; else the tree has next to nothing in both.
    """
    namespace = f"innerloop-bench-{tool.lower()}"
    with tempfile.TemporaryDirectory(prefix="innerloop-bench-") as temporary:
        folder = Path(temporary) / "project"
        for name in ("app", "tree"):
            (folder / name).mkdir(parents=True)
        (folder.parent / "home").mkdir()
        (folder / "app/server.py").write_text(SERVER)
        (folder / "app/page.txt").write_text("first page")
        # some tools want every pattern to match something
        (folder / "tree/README").write_text("many files go here\n")
        (folder / "Dockerfile").write_text(DOCKERFILE)
        if full:
            fill(folder / "tree")
        try:
            remove(namespace)
            image = build(folder, namespace)
            (folder / "Dockerfile").unlink()
            kubectl("create", "namespace", namespace)()
            yield Sample(folder, namespace, image)
        finally:
            remove(namespace)


def remove(namespace: str) -> None:
    kubectl("delete", "namespace", namespace, "--ignore-not-found")()


def build(folder: Path, namespace: str) -> str:
    """Build the folder's Dockerfile by ``loop``; returns the name by which the cluster pulls the image."""
    with tempfile.TemporaryDirectory(prefix="innerloop-bench-") as temporary:
        project = Path(temporary)
        (project / "deploy.yaml").write_text(manifest(NAME))
        (project / "loop.yaml").write_text(
            f"name: {NAME}\nimages: {{{NAME}: {{context: {folder}}}}}\nmanifests: [{{files: deploy.yaml}}]\n"
        )
        choose(project, namespace)
        command([LOOP, "deploy"], cwd=project)()
    path = "jsonpath={.spec.template.spec.containers[0].image}"
    image = kubectl("get", "deployment", NAME, "--namespace", namespace, "--output", path)()
    remove(namespace)
    return image


def manifest(image: str) -> str:
    return MANIFEST.replace("IMAGE", image)


def fill(tree: Path) -> None:
    """The many files on the branch ``main`` of a git repository around the tree, some changed on ``other``."""
    repository = tree.parent
    git(repository, "init", "--quiet", "--initial-branch=main")
    for path, content in contents("main").items():
        place = tree / path
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
    git(repository, "add", "tree")
    git(repository, "commit", "--quiet", "--message=main")
    git(repository, "checkout", "--quiet", "-b", "other")
    for path, content in contents("other", changed()).items():
        (tree / path).write_bytes(content)
    git(repository, "commit", "--quiet", "--all", "--message=other")
    git(repository, "checkout", "--quiet", "main")


def paths() -> list[str]:
    per_folder = FILES // FOLDERS
    return [f"folder-{number // per_folder:03}/file-{number % per_folder:03}.txt" for number in range(FILES)]


def changed() -> list[str]:
    """Paths that differ between the branches, spread over all folders."""
    return paths()[:: FILES // CHANGED]


def contents(branch: str, some: list[str] | None = None) -> dict[str, bytes]:
    """Text of the same size in every file, different in each and on each branch."""
    found = {}
    for path in paths() if some is None else some:
        source = random.Random(f"{branch if path in _CHANGED else 'main'} {path}")
        found[path] = source.randbytes(FILE_SIZE // 2).hex().encode()
    return found


def git(repository: Path, *arguments: str) -> None:
    names = ("-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "gc.auto=0")
    if shutil.which("git") is None:
        raise SystemExit("git is not on PATH")
    command(["git", *names, "-C", repository, *arguments])()


_CHANGED = frozenset(changed())
