"""A project that deploys what git has, with other values, and its sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from innerloop.manifest import TARGET_ANNOTATION
from tests.e2e.loop_command import developing, loop
from tests.gitops.agents.vote import SETTINGS, WEB

PROJECT = """\
name: vote
manifests: [{files: deploy/*.yaml}]
dev:
  web: {selector: {app: web}, sync: "src:/tmp/src", command: sleep 3000}
"""


async def project_in(folder: Path, namespace: str) -> Path:
    """The project in a new folder, with the namespace that it is developed in."""
    for name, content in {
        "loop.yaml": PROJECT,
        "src/page.txt": "a page",
        "deploy/web.yaml": WEB.replace("value: git", "value: dev"),
        "deploy/settings.yaml": SETTINGS.replace("title: git", "title: dev, extra: dev"),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    assert (await loop("use", "namespace", namespace, cwd=folder)).code == 0
    return folder


def is_developed(web: dict[str, Any]) -> bool:
    template = web["spec"]["template"]
    (container,) = template["spec"]["containers"]
    marked = TARGET_ANNOTATION in (template["metadata"].get("annotations") or {})
    environment = {one["name"]: one.get("value") for one in container["env"]}
    return marked and environment["TITLE"] == "dev" and container.get("args", [""])[-1] == "3000"


async def killed(folder: Path) -> None:
    """A session that was ended by ``kill -9`` when all was ready."""
    async with developing(folder) as session:
        await session.next("ready", timeout=120)
        session.process.kill()
        await session.process.wait()
