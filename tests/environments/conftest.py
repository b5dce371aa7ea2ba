"""A project with environments, free of what the developer's machine happens to say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from innerloop.config.loading import Options, load
from innerloop.events import Event, Notice
from innerloop.gitops.environments.rendering import Rendered, render_environment
from innerloop.project import Project

LOOP = Path(sys.executable).with_name("loop")

FILE = """\
name: shop
variables: {TITLE: Cats}
manifests: [{files: 'deploy/*.yaml'}]
environments:
  dev: {variables: env/dev.env, namespace: shop-dev}
  prod: {namespace: shop, labels: {tier: prod}}
"""


class Shop:
    """The project's folder, and what rendering it tells."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.told: list[Event] = []
        self.write("loop.yaml", FILE)
        self.write("env/dev.env", "TITLE=Dogs\n")

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def add(self, text: str) -> None:
        with (self.folder / "loop.yaml").open("a") as file:
            file.write(text)

    def project(self, env: str = "dev") -> Project:
        return load(self.folder / "loop.yaml", Options(env=env, fallback_namespace=""))

    async def render(self, env: str = "dev") -> Rendered:
        return await render_environment(self.project(env), emit=self.told.append)

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.told if isinstance(event, Notice) and event.level == "warning"]

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
        argv = ["git", *identity, *arguments]
        return subprocess.run(argv, cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, message: str = "Sell cats") -> str:
        """Commit everything; returns the commit's id."""
        if not (self.folder / ".git").exists():
            self.git("init", "--quiet")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")


def config_map(name: str, more: str = "") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}{more}}}\ndata: {{title: '${{TITLE}}'}}\n"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    for name in [name for name in os.environ if name.startswith("LOOP_") or name == "TITLE"]:
        monkeypatch.delenv(name)
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / ".home"))
    shop = Shop(tmp_path / "shop")
    monkeypatch.chdir(shop.folder)
    return shop
