"""What goes into the lock, and what rendering with it does: a registry, helm, kustomize and git are real."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from innerloop import processes
from innerloop.build.building import BuiltImage
from innerloop.build.image_config import ImageConfig
from innerloop.build.tags import content_tag
from innerloop.errors import LoopError
from innerloop.gitops.environments.lock import Lock, LockedImage, read_lock, write_lock
from innerloop.gitops.environments.locking import lock
from innerloop.project import Project
from innerloop.render import programs
from tests.build.registry import FakeRegistry, digest_of, serving
from tests.environments.conftest import Shop, config_map

pytestmark = pytest.mark.usefixtures("tools")

OWN = "sha256:" + "a1" * 32


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with serving(FakeRegistry()) as running:
        yield running


def publish(registry: FakeRegistry, name: str, body: bytes = b"{}") -> str:
    """Have the registry show an image under a path and tag; returns its digest."""
    registry.manifests[name] = ("application/vnd.oci.image.manifest.v1+json", body)
    return digest_of(body)


def pod(name: str, *images: str) -> str:
    containers = "".join(f"\n  - {{name: c{number}, image: '{image}'}}" for number, image in enumerate(images))
    return f"---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  containers:{containers}\n"


def built(project: Project, *, digest: str = OWN, tag: str = "0123") -> BuiltImage:
    image = project.images["web"]
    return BuiltImage(
        name="web",
        repository=image.repository,
        reference=f"{image.repository}@{digest}",
        tag=tag,
        digest=digest,
        architecture="amd64",
        cached=False,
        config=ImageConfig(),
    )


async def write(shop: Shop, *built: BuiltImage, whole: bool = True) -> Lock:
    await lock([shop.project("dev"), shop.project("prod")], built, shop.told.append, whole=whole)
    found = read_lock(shop.folder)
    assert found is not None
    return found


async def images_of(shop: Shop, env: str = "dev") -> list[str]:
    manifests = (await shop.render(env)).manifests
    return [one["image"] for manifest in manifests for one in manifest.object["spec"]["containers"]]


async def refused(shop: Shop) -> LoopError:
    with pytest.raises(LoopError) as failure:
        await shop.render()
    return failure.value


@pytest.fixture
def own(shop: Shop) -> Shop:
    """A project that builds the image ``registry.example.com/web`` and runs it."""
    shop.add("images: {web: {context: web, image: registry.example.com/web}}\n")
    shop.write("web/Dockerfile", "FROM scratch\n")
    shop.write("deploy/a.yaml", pod("a", "registry.example.com/web:latest"))
    return shop


async def test_images_of_others_are_locked_by_tag_and_keep_it(shop: Shop, registry: FakeRegistry) -> None:
    seven, latest = publish(registry, "redis:7", b"7"), publish(registry, "tool:latest", b"latest")
    given = f"{registry.host}/redis@{OWN}"
    shop.write("deploy/a.yaml", pod("a", f"{registry.host}/redis:7", f"{registry.host}/tool", given))
    found = await write(shop)
    assert found.third_party_images == {f"{registry.host}/redis:7": seven, f"{registry.host}/tool:latest": latest}
    assert await images_of(shop) == [f"{registry.host}/redis:7@{seven}", f"{registry.host}/tool@{latest}", given]
    assert (await shop.render()).provenance.images[f"{registry.host}/tool"] == f"{registry.host}/tool@{latest}"


async def test_every_environments_images_are_locked(shop: Shop, registry: FakeRegistry) -> None:
    for tag in ("Cats", "Dogs"):
        publish(registry, f"redis:{tag}", tag.encode())
    shop.write("deploy/a.yaml", pod("a", f"{registry.host}/redis:${{TITLE}}"))
    assert {name.rpartition(":")[2] for name in (await write(shop)).third_party_images} == {"Cats", "Dogs"}


async def test_what_a_registry_does_not_have_is_told_and_left_out(shop: Shop, registry: FakeRegistry) -> None:
    shop.write("deploy/a.yaml", pod("a", f"{registry.host}/redis:8"))
    assert (await write(shop)).third_party_images == {}
    told = f"{registry.host}/redis:8 is not resolved: its registry does not have it, or does not show it"
    assert shop.warnings == [told]


async def test_without_the_network_what_was_locked_stays(shop: Shop) -> None:
    image = "127.0.0.1:1/redis:7"
    shop.write("deploy/a.yaml", pod("a", image, "127.0.0.1:1/new:1"))
    write_lock(shop.folder, Lock(third_party_images={image: OWN}))
    assert (await write(shop)).third_party_images == {image: OWN}
    assert sorted(shop.warnings) == [
        "127.0.0.1:1/new:1 is not resolved: cannot reach registry 127.0.0.1:1",
        "127.0.0.1:1/redis:7 is not resolved: cannot reach registry 127.0.0.1:1",
    ]


async def test_what_nothing_uses_any_more_goes(shop: Shop, registry: FakeRegistry) -> None:
    publish(registry, "redis:7")
    shop.write("deploy/a.yaml", pod("a", f"{registry.host}/redis:7"))
    write_lock(shop.folder, Lock(third_party_images={"docker.io/library/old:1": OWN}))
    assert list((await write(shop)).third_party_images) == [f"{registry.host}/redis:7"]


async def test_a_broken_lock_is_told_and_written_anew(shop: Shop, registry: FakeRegistry) -> None:
    seven = publish(registry, "redis:7")
    shop.write("deploy/a.yaml", pod("a", f"{registry.host}/redis:7"))
    shop.write("loop.lock", "version: 1\n<<<<<<< HEAD\n")
    assert (await write(shop)).third_party_images == {f"{registry.host}/redis:7": seven}
    assert len(shop.warnings) == 1 and shop.warnings[0].startswith("loop.lock:")


async def test_a_lock_of_a_later_version_is_not_overwritten(shop: Shop) -> None:
    shop.write("deploy/a.yaml", config_map("a"))
    file = shop.write("loop.lock", "version: 2\n")
    with pytest.raises(LoopError, match="the lock is of version 2"):
        await write(shop)
    assert file.read_text() == "version: 2\n"


async def test_locking_one_environment_leaves_the_others_alone(shop: Shop, registry: FakeRegistry) -> None:
    publish(registry, "redis:7")
    shop.write("deploy/a.yaml", pod("a", f"{registry.host}/redis:7"))
    write_lock(shop.folder, Lock(third_party_images={"docker.io/library/other:1": OWN}))
    assert len((await write(shop, whole=False)).third_party_images) == 2


async def test_an_image_that_was_pushed_is_locked_with_its_commit(own: Shop) -> None:
    commit = own.commit()
    project = own.project()
    inputs = content_tag(project.images["web"])
    found = await write(own, built(project))
    assert found.images == {
        "registry.example.com/web": LockedImage(digest=OWN, tag="0123", inputs=inputs, commit=commit, clean=True)
    }
    assert await images_of(own) == [f"registry.example.com/web@{OWN}"]


async def test_changes_that_no_commit_has_are_told(own: Shop) -> None:
    own.commit()
    own.write("web/new", "")
    assert (await write(own, built(own.project()))).images["registry.example.com/web"].clean is False


async def test_an_unchanged_image_keeps_the_commit_that_it_was_built_from(own: Shop) -> None:
    first = own.commit()
    await write(own, built(own.project()))
    own.write("README", "")
    own.commit("Describe it")
    assert (await write(own, built(own.project()))).images["registry.example.com/web"].commit == first


async def test_an_image_that_went_to_the_clusters_registry_is_not_locked(own: Shop) -> None:
    elsewhere = msgspec.structs.replace(built(own.project()), reference=f"localhost:5000/web@{OWN}")
    found = await write(own, elsewhere)
    assert found.images == {}
    assert own.warnings == ["image web (registry.example.com/web) is not locked"]


async def test_an_image_of_another_state_is_told_with_both_commits(own: Shop) -> None:
    first = own.commit()
    await write(own, built(own.project()))
    own.write("web/Dockerfile", "FROM scratch\nCOPY . /\n")
    second = own.commit("Copy")
    assert await images_of(own) == [f"registry.example.com/web@{OWN}"]
    assert own.warnings == [
        f"image web is locked as it was built from {first[:12]}; what it is built from is another now, at {second[:12]}"
    ]


async def test_the_lock_itself_is_no_input_of_an_image(own: Shop) -> None:
    own.write("loop.yaml", (own.folder / "loop.yaml").read_text().replace("context: web,", "context: .,"))
    own.write("Dockerfile", "FROM scratch\n")
    own.write(".dockerignore", ".git\n")
    own.commit()
    first = await write(own, built(own.project()))
    await own.render()
    assert (await write(own, built(own.project())), own.warnings) == (first, [])
    assert first.images["registry.example.com/web"].clean is True


async def test_another_engine_than_the_locks_is_an_error(shop: Shop) -> None:
    shop.write("loop.yaml", (shop.folder / "loop.yaml").read_text().replace("files: 'deploy/*.yaml'", "helm: chart"))
    shop.write("chart/Chart.yaml", "apiVersion: v2\nname: chart\nversion: 0.1.0\n")
    shop.write("chart/templates/a.yaml", config_map("a"))
    version = (await write(shop)).engines["helm"]
    assert version.startswith("v") and (await shop.render()).provenance.engines["helm"] == version
    file = shop.folder / "loop.lock"
    file.write_text(file.read_text().replace(version, "v2.0.0"))
    failure = await refused(shop)
    assert str(failure) == f"loop.lock:5:3: helm is {version} here, and v2.0.0 in the lock"
    assert failure.hint == "install helm v2.0.0, or lock anew: loop build --lock"


@pytest.fixture
async def charted(shop: Shop, registry: FakeRegistry) -> Shop:
    """A project whose only source is a range of versions of a chart in a registry, which has 0.1.0."""
    await push_chart(shop, registry, "0.1.0", "a")
    source = f"helm: 'oci://{registry.host}/charts/redis', version: '>=0.1.0'"
    shop.write("loop.yaml", (shop.folder / "loop.yaml").read_text().replace("files: 'deploy/*.yaml'", source))
    return shop


async def push_chart(shop: Shop, registry: FakeRegistry, version: str, name: str) -> None:
    folder = shop.folder.parent / f"chart-{version}-{name}" / "redis"
    shop.write(f"{folder}/Chart.yaml", f"apiVersion: v2\nname: redis\nversion: {version}\n")
    shop.write(f"{folder}/templates/a.yaml", config_map(name))
    helm = programs.helm()
    await processes.run([helm, "package", str(folder), "-d", str(folder.parent)])
    archive = str(folder.parent / f"redis-{version}.tgz")
    await processes.run([helm, "push", "--plain-http", archive, f"oci://{registry.host}/charts"])


def forget_charts(shop: Shop) -> None:
    """As on another machine."""
    shutil.rmtree(shop.folder.parent / ".home/innerloop/charts")


async def test_a_chart_of_a_range_stays_at_the_version_that_was_locked(charted: Shop, registry: FakeRegistry) -> None:
    [key] = (await write(charted)).charts
    assert key == f"oci://{registry.host}/charts/redis >=0.1.0"
    await push_chart(charted, registry, "0.2.0", "b")
    forget_charts(charted)
    assert [m.name for m in (await charted.render()).manifests] == ["a"]


async def test_a_chart_that_was_published_again_is_an_error(charted: Shop, registry: FakeRegistry) -> None:
    await write(charted)
    await push_chart(charted, registry, "0.1.0", "other")
    forget_charts(charted)
    failure = await refused(charted)
    assert failure.message == f"oci://{registry.host}/charts/redis >=0.1.0 is not what was locked"
    assert failure.where is not None and failure.where.file == "loop.lock" and failure.where.line > 1
    assert failure.hint is not None and failure.hint.endswith("lock anew: loop build --lock")


async def test_a_packed_chart_is_rendered_and_proven(charted: Shop, registry: FakeRegistry) -> None:
    archive = charted.folder.parent / "chart-0.1.0-a/redis-0.1.0.tgz"
    file = charted.folder / "loop.yaml"
    file.write_text(re.sub(r"manifests: .*", f"manifests: [{{helm: {archive}}}]", file.read_text()))
    assert [m.name for m in (await charted.render()).manifests] == ["a"]


async def test_a_charts_dependency_is_locked_with_its_archive(charted: Shop, registry: FakeRegistry) -> None:
    charted.write(
        "chart/Chart.yaml",
        "apiVersion: v2\nname: chart\nversion: 0.1.0\ndependencies:\n"
        f"- {{name: redis, version: 0.1.0, repository: 'oci://{registry.host}/charts'}}\n",
    )
    folder = charted.folder / "chart/charts"
    folder.mkdir()
    shutil.copy(charted.folder.parent / "chart-0.1.0-a/redis-0.1.0.tgz", folder)
    file = charted.folder / "loop.yaml"
    file.write_text(re.sub(r"manifests: .*", "manifests: [{helm: chart}]", file.read_text()))
    [(key, found)] = (await write(charted)).charts.items()
    assert (key, found.version) == (f"oci://{registry.host}/charts/redis 0.1.0", "0.1.0")
    assert [m.name for m in (await charted.render()).manifests] == ["a"]
    await push_chart(charted, registry, "0.1.0", "other")
    shutil.copy(charted.folder.parent / "chart-0.1.0-other/redis-0.1.0.tgz", folder)
    assert (await refused(charted)).message == f"{key} is not what was locked"


async def test_a_chart_that_the_lock_does_not_know_is_told(charted: Shop, registry: FakeRegistry) -> None:
    await write(charted)
    file = charted.folder / "loop.yaml"
    file.write_text(file.read_text().replace(">=0.1.0", "0.1.0"))
    await charted.render()
    assert charted.warnings == [f"oci://{registry.host}/charts/redis 0.1.0 is not in the lock"]


async def test_without_a_lock_nothing_is_told(charted: Shop) -> None:
    await charted.render()
    assert charted.warnings == []


@pytest.fixture
def based(shop: Shop, tmp_path: Path) -> Shop:
    """A project whose only source is a kustomization on a base in another repository; its folder is ``../base``."""
    other = Shop(tmp_path / "base")
    other.write("kustomization.yaml", "resources: [a.yaml]\n")
    other.write("a.yaml", config_map("a"))
    other.commit()
    other.git("tag", "v1")
    shop.write("over/kustomization.yaml", f"resources: ['file://{other.folder}?ref=v1']\n")
    shop.write(
        "loop.yaml", (shop.folder / "loop.yaml").read_text().replace("files: 'deploy/*.yaml'", "kustomize: over")
    )
    return shop


async def test_a_remote_base_is_locked_with_what_it_is(based: Shop) -> None:
    [(name, found)] = (await write(based)).bases.items()
    assert (name.rpartition("?")[2], found.version) == ("ref=v1", "v1")
    assert [m.name for m in (await based.render()).manifests] == ["a"]


async def test_a_remote_base_whose_tag_was_moved_is_an_error(based: Shop, tmp_path: Path) -> None:
    await write(based)
    (tmp_path / "base/a.yaml").write_text(config_map("other"))
    await processes.run(["git", "-C", str(tmp_path / "base"), "-c", "user.name=A", "-c", "user.email=a@example.com",
                         "commit", "--quiet", "--all", "--message", "Move"])  # fmt: skip
    await processes.run(["git", "-C", str(tmp_path / "base"), "tag", "--force", "v1"])
    assert (await refused(based)).message.endswith("/base?ref=v1 is not what was locked")
