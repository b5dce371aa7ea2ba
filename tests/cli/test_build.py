"""``loop build``."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.build.registry import FakeRegistry, serving

LOOP = Path(sys.executable).with_name("loop")

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(shutil.which("buildah") is None, reason="no buildah"),
]


class Done(NamedTuple):
    code: int
    output: str


async def loop(folder: Path, kubeconfig: Path, *arguments: str) -> Done:
    storage = folder / "storage.conf"
    storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n')
    env = {name: value for name, value in os.environ.items() if not name.startswith("LOOP_")}
    env |= {name: str(folder / ".home") for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")}
    env |= {"KUBECONFIG": str(kubeconfig), "CONTAINERS_STORAGE_CONF": str(storage)}
    process = await asyncio.create_subprocess_exec(
        LOOP, "build", *arguments, cwd=folder, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return Done(process.returncode or 0, output.decode())


async def test_images_are_built_once(tmp_path: Path, kubeconfig: Path) -> None:
    async with serving(FakeRegistry()) as registry:
        (tmp_path / "web").mkdir()
        (tmp_path / "web/Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        images = f"images: {{web: {{context: web, image: {registry.host}/web, builder: buildah}}}}\n"
        (tmp_path / "loop.yaml").write_text(f"name: shop\n{images}")
        first = await loop(tmp_path, kubeconfig)
        second = await loop(tmp_path, kubeconfig, "web")
    assert (first.code, second.code) == (0, 0), first.output + second.output
    assert "build web" in first.output and "unchanged" not in first.output
    assert "unchanged" in second.output


async def test_an_unknown_image_is_told(tmp_path: Path, kubeconfig: Path) -> None:
    (tmp_path / "loop.yaml").write_text("name: shop\nimages: {web: web}\n")
    done = await loop(tmp_path, kubeconfig, "wep")
    assert done.code == 1
    assert "the project has no image 'wep'" in done.output and "did you mean 'web'?" in done.output
