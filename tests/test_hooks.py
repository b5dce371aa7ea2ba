"""Hooks run real commands and plugin functions, and stop what they stand before."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from innerloop.build.building import BuiltImage
from innerloop.build.image_config import ImageConfig
from innerloop.config.loading import Options, load
from innerloop.errors import LoopError
from innerloop.events import Emit, Event, StepFailed, StepOutput
from innerloop.hooks import Hooks
from innerloop.manifest import Manifest
from innerloop.plugins import load as load_plugins


class Surroundings(NamedTuple):
    variables: dict[str, str]
    emit: Emit


def hooks_of(folder: Path, text: str, told: list[Event] | None = None) -> Hooks:
    (folder / "loop.yaml").write_text("name: shop\n" + text)
    project = load(folder / "loop.yaml", Options())
    heard: list[Event] = [] if told is None else told
    return Hooks(project, load_plugins(project), Surroundings({"LOOP_NAMESPACE": "mine"}, heard.append))


def config_map(name: str) -> Manifest:
    return Manifest({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})


async def test_commands_run_in_order_in_the_projects_folder(tmp_path: Path) -> None:
    hooks = hooks_of(tmp_path, "hooks: {before-deploy: ['echo one >> out', 'echo two >> out']}\n")
    await hooks.run("before-deploy")
    assert (tmp_path / "out").read_text() == "one\ntwo\n"


async def test_a_command_sees_namespace_images_and_manifests(tmp_path: Path) -> None:
    text = "hooks: {before-deploy: 'cat $LOOP_MANIFESTS/*.yaml; echo $LOOP_NAMESPACE $LOOP_IMAGE_WEB_UI'}\n"
    told: list[Event] = []
    image = BuiltImage(
        architecture="amd64",
        name="web-ui",
        repository="web",
        reference="registry/web:1",
        tag="1",
        digest=None,
        cached=True,
        config=ImageConfig(),
    )
    await hooks_of(tmp_path, text, told).run(
        "before-deploy", images={"web-ui": image}, manifests=[config_map("settings")]
    )
    output = [event.text for event in told if isinstance(event, StepOutput)]
    assert "  name: settings" in output
    assert output[-1] == "mine registry/web:1"


async def test_a_failing_hook_tells_place_and_output(tmp_path: Path) -> None:
    told: list[Event] = []
    hooks = hooks_of(tmp_path, "hooks:\n  before-render: 'echo no licence; exit 3'\n  after-render: 'true'\n", told)
    with pytest.raises(LoopError, match=r"loop.yaml:3:3: the before-render hook ended with status 3") as failed:
        await hooks.run("before-render")
    assert failed.value.detail == "no licence"
    assert isinstance(told[-1], StepFailed)


async def test_a_plugin_changes_the_stream_and_commands_see_it(tmp_path: Path) -> None:
    (tmp_path / "team.py").write_text(
        "from innerloop import hook\n"
        "@hook('after-render')\n"
        "def label(manifests, project):\n"
        "    for m in manifests:\n"
        "        m.labels['team'] = project.name\n"
        "    return manifests\n"
    )
    text = "plugins: [./team.py]\nhooks: {after-render: 'cp $LOOP_MANIFESTS/manifests.yaml seen.yaml'}\n"
    (changed,) = await hooks_of(tmp_path, text).after_render([config_map("settings")])
    assert changed.labels == {"team": "shop"}
    assert "team: shop" in (tmp_path / "seen.yaml").read_text()


async def test_a_point_without_hooks_tells_nothing(tmp_path: Path) -> None:
    told: list[Event] = []
    await hooks_of(tmp_path, "", told).run("ready")
    assert told == []
