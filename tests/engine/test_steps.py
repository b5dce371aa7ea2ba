"""The steps of a project: what waits for what, and each dependency once."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from innerloop.build.destination import Push
from innerloop.config.dependencies import resolve
from innerloop.config.loading import Options, load
from innerloop.engine.graph import Step, in_order
from innerloop.engine.scope import Scope
from innerloop.engine.steps import Plan, plan_steps
from innerloop.events import Event
from innerloop.kube.client import Client


def ignore(event: Event) -> None:
    pass


async def steps_of(folder: Path, *, base_registry: str = "") -> dict[str, Step]:
    """Planned only, so there is no cluster."""
    options = Options()
    tree = await resolve(load(folder / "loop.yaml", options), options, ignore)
    scope = Scope(cast(Client, None), "here", "mine", "", (), ignore)
    steps = plan_steps(tree, Plan(scope, Push("registry:5000"), base_registry=base_registry))
    in_order(steps)
    return {step.name: step for step in steps}


def write(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "loop.yaml").write_text(text)


async def test_what_is_applied_waits_for_the_manifests_and_for_every_image(tmp_path: Path) -> None:
    write(tmp_path, "name: shop\nimages: {web: ./web, jobs: ./jobs}\nmanifests: [{files: '*.yml'}]\n")
    steps = await steps_of(tmp_path)
    assert steps["compose"].needs == ("render", "build/web", "build/jobs")
    assert steps["apply"].needs == ("compose",)
    assert steps["build/web"].needs == steps["build/jobs"].needs == steps["render"].needs == ()


async def test_hooks_stand_around_all_builds(tmp_path: Path) -> None:
    write(tmp_path, "name: shop\nimages: {web: ./web}\nhooks: {before-build: 'true', after-build: 'true'}\n")
    steps = await steps_of(tmp_path)
    assert steps["build/web"].needs == ("before-build",)
    assert steps["after-build"].needs == ("before-build", "build/web")
    assert "after-build" in steps["compose"].needs


async def test_builds_wait_for_base_images_where_they_have_to_be_made(tmp_path: Path) -> None:
    write(tmp_path, "name: shop\nimages: {web: ./web}\n")
    assert (await steps_of(tmp_path, base_registry="registry:5000"))["build/web"].needs == ("base-images",)


async def test_a_project_is_applied_when_its_dependencies_are_ready(tmp_path: Path) -> None:
    write(tmp_path / "orders", "name: orders\n")
    write(tmp_path / "shop", "name: shop\ndependencies: {goods: {path: ../orders}, queue: {files: 'queue/*.yaml'}}\n")
    steps = await steps_of(tmp_path / "shop")
    assert steps["apply"].needs == ("compose", "orders/ready", "queue/ready")
    assert steps["orders/render"].needs == ()


async def test_a_dependency_of_two_is_deployed_once(tmp_path: Path) -> None:
    write(tmp_path / "base", "name: base\n")
    write(tmp_path / "left", "name: left\ndependencies: {base: {path: ../base}}\n")
    write(tmp_path / "right", "name: right\ndependencies: {base: {path: ../base}}\n")
    write(tmp_path / "top", "name: top\ndependencies: {left: {path: ../left}, right: {path: ../right}}\n")
    steps = await steps_of(tmp_path / "top")
    assert [name for name in steps if name.startswith("base/")] == [
        "base/render",
        "base/compose",
        "base/apply",
        "base/ready",
    ]
    assert "base/ready" in steps["left/apply"].needs
    assert "base/ready" in steps["right/apply"].needs
