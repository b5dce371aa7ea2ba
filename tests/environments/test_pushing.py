"""``loop build --push --lock`` as a pipeline calls it, without a cluster: by the real command and buildah."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from innerloop.config import yaml
from tests.build.registry import FakeRegistry, serving
from tests.environments.conftest import LOOP, Shop

pytestmark = pytest.mark.skipif(shutil.which("buildah") is None, reason="no buildah")


class Done(NamedTuple):
    code: int
    output: str


async def build(shop: Shop, *arguments: str, kubeconfig: Path = Path("none")) -> Done:
    """What the command prints, when it has ended."""
    home = shop.folder.parent / "home"
    home.mkdir(exist_ok=True)
    storage = home / "storage.conf"
    storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{home}/images"\nrunroot = "{home}/run"\n')
    env = {name: value for name, value in os.environ.items() if not name.startswith(("LOOP_", "XDG_"))}
    env |= {"HOME": str(home), "KUBECONFIG": str(kubeconfig), "CONTAINERS_STORAGE_CONF": str(storage)}
    process = await asyncio.create_subprocess_exec(
        LOOP,
        "build",
        *arguments,
        cwd=shop.folder,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return Done(process.returncode or 0, output.decode())


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with serving(FakeRegistry()) as running:
        yield running


@pytest.fixture
def pushing(shop: Shop, registry: FakeRegistry) -> Shop:
    """A project with an image in the registry; ``TITLE`` may take part in it, which has no value on the laptop."""
    text = (shop.folder / "loop.yaml").read_text().replace("TITLE: Cats", "TITLE: null")
    shop.write("loop.yaml", text.replace("prod: {", "prod: {variables: env/prod.env, "))
    shop.write("env/prod.env", "TITLE=Cats\n")
    image = f"{{context: web, image: {registry.host}/web, builder: buildah}}"
    shop.add(f"images: {{web: {image}}}\n")
    shop.write("web/Dockerfile", "FROM scratch\nARG TITLE\nENV TITLE=$TITLE\nCOPY . /\n")
    containers = f"spec: {{containers: [{{name: a, image: {registry.host}/web}}]}}\n"
    shop.write("deploy/a.yaml", f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\n{containers}")
    return shop


async def test_images_are_pushed_and_every_environment_gets_their_digest(pushing: Shop, registry: FakeRegistry) -> None:
    commit = pushing.commit()
    done = await build(pushing, "--push", "--lock")
    assert done.code == 0, done.output
    [lock] = yaml.load_all((pushing.folder / "loop.lock").read_text(), "loop.lock")
    [(name, locked)] = lock["images"].items()
    assert (name, locked["commit"], locked["clean"]) == (f"{registry.host}/web", commit, True)
    assert registry.manifests[f"web:{locked['tag']}"] == registry.manifests[f"web:{locked['digest']}"]
    for env in ("dev", "prod"):
        assert (await pushing.render(env)).provenance.images == {name: f"{name}@{locked['digest']}"}


async def test_what_is_unchanged_is_not_built_or_written_again(pushing: Shop) -> None:
    assert (await build(pushing, "--push", "--lock")).code == 0
    before = (pushing.folder / "loop.lock").read_text()
    again = await build(pushing, "--push", "--lock")
    assert again.output.count("unchanged") == 2
    assert (pushing.folder / "loop.lock").read_text() == before


async def test_an_image_that_environments_want_differently_is_told(pushing: Shop) -> None:
    file = pushing.folder / "loop.yaml"
    file.write_text(file.read_text().replace("context: web,", "context: web, args: {TITLE: '${TITLE}'},"))
    done = await build(pushing, "--push", "--lock")
    assert done.code == 1
    assert "would be another image for prod than for dev" in done.output


async def test_an_unknown_image_is_told(pushing: Shop) -> None:
    done = await build(pushing, "wep", "--push")
    assert done.code == 1 and "did you mean 'web'?" in done.output


async def test_pushing_alone_writes_no_lock(pushing: Shop) -> None:
    assert (await build(pushing, "--push", "--env", "prod")).code == 0
    assert not (pushing.folder / "loop.lock").exists()


@pytest.mark.cluster
async def test_without_pushing_the_cluster_gets_the_image_and_the_rest_is_locked(
    pushing: Shop, registry: FakeRegistry, kubeconfig: Path
) -> None:
    registry.manifests["redis:7"] = ("application/vnd.oci.image.manifest.v1+json", b"{}")
    file = pushing.folder / "deploy/a.yaml"
    file.write_text(file.read_text().replace("}]}", f"}}, {{name: b, image: {registry.host}/redis:7}}]}}"))
    pushing.write(".env", "TITLE=Mine\n")
    done = await build(pushing, "--lock", kubeconfig=kubeconfig)
    assert done.code == 0, done.output
    [lock] = yaml.load_all((pushing.folder / "loop.lock").read_text(), "loop.lock")
    assert (lock["images"], list(lock["thirdPartyImages"])) == ({}, [f"{registry.host}/redis:7"])
    assert f"image web ({registry.host}/web) is not locked" in done.output
