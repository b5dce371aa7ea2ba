"""A small project on the real cluster."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.loop_command import loop
from tests.ports import free_port

SERVER = """\
import http.server, os

STARTED = "first program"

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{STARTED} | {open('page.txt').read()} | {os.environ['TITLE']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""

MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: web
          env: [{name: TITLE, value: "${TITLE}"}]
          ports: [{containerPort: 8000}]
          readinessProbe: {httpGet: {path: /, port: 8000}, periodSeconds: 1}
"""


class Sample:
    """The project's folder, and where its page is."""

    def __init__(self, folder: Path, namespace: str, port: int) -> None:
        self.folder = folder
        self.namespace = namespace
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def replace(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture
async def sample(kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sample]:
    """A project that is deployed nowhere before and after."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.delenv("LOOP_CONTEXT", raising=False)
    found = Sample(tmp_path / "sample", f"e2e-{secrets.token_hex(4)}", free_port())
    found.write(
        "loop.yaml",
        f"""\
name: sample
variables: {{TITLE: first title}}
images: {{web: {{context: web}}}}
manifests: [{{files: deploy/*.yaml}}]
dev:
  web:
    sync: web:/app
    restart: "**/*.py"
    ports: {found.port}:8000
    open: {found.url}
""",
    )
    found.write("web/Dockerfile", 'FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\nCMD ["python", "main.py"]\n')
    found.write("web/main.py", SERVER)
    found.write("web/page.txt", "first page")
    found.write("deploy/web.yaml", MANIFEST)
    assert (await loop("use", "namespace", found.namespace, cwd=found.folder)).code == 0
    yield found
    ended = await loop("purge", cwd=found.folder)
    assert ended.code == 0, ended.stdout + ended.stderr
