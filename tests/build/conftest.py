"""A project with one image, a registry, and caches of one's own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from innerloop.build.building import BuiltImage, build
from innerloop.build.destination import Destination
from innerloop.errors import Location
from innerloop.events import Event
from innerloop.project import Image, Project
from tests.build.registry import FakeRegistry, serving

DOCKERFILE = """\
FROM scratch
ARG GREETING=hi
ENV GREETING=$GREETING
COPY . /app
WORKDIR /app
USER 1000
ENTRYPOINT ["/app/serve"]
CMD ["--port", "80"]
"""


class Shop:
    """A project with the image ``web``, which can be changed and built."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context = folder / "web"
        self.context.mkdir(parents=True)
        self.write("Dockerfile", DOCKERFILE)
        self.write("serve", "#!/bin/true\n")
        self.events: list[Event] = []

    def write(self, name: str, text: str) -> None:
        (self.context / name).write_text(text)

    def image(self, **fields: Any) -> Image:
        given = {"name": "web", "repository": "web", "context": self.context, "builder": "buildah"}
        return Image(**{"dockerfile": self.context / "Dockerfile", **given, **fields})

    async def build(self, destination: Destination, **fields: Any) -> BuiltImage:
        image = self.image(**fields)
        file = self.folder / "loop.yaml"
        project = Project(
            name="shop",
            file=file,
            folder=self.folder,
            images={"web": image},
            locations={"images.web": Location("loop.yaml", 3, 3)},
        )
        return await build(image, destination, self.events.append, step="build/web", project=project)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home: no caches, no state, no credentials but those that a test puts there."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / ".local/state"))
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)
    # images of tests do not stay on the machine; this driver leaves no mounts either
    storage = home / "storage.conf"
    storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{home}/images"\nrunroot = "{home}/run"\n')
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(storage))
    return home


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop")


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with serving(FakeRegistry()) as running:
        yield running


@pytest.fixture
def needs_buildah() -> None:
    if shutil.which("buildah") is None:
        pytest.skip("no buildah")
