"""Plugins: registered with the project that loads them, and their errors told as theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import innerloop
from innerloop import plugins
from innerloop.errors import Location, LoopError
from innerloop.manifest import Manifest
from innerloop.plugins import Plugins
from innerloop.project import Image, PluginSource, Project

Read = Callable[..., Project]
Write = Callable[..., Path]
Load = Callable[[str], tuple[Plugins, Project]]


@pytest.fixture
def loaded(read: Read, write: Write) -> Load:
    """The plugins of a project whose only one has this text."""

    def loaded(text: str) -> tuple[Plugins, Project]:
        write(text, "plugin.py")
        project = read("plugins: plugin.py\n")
        return plugins.load(project), project

    return loaded


def manifest(name: str = "a") -> Manifest:
    return Manifest({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})


async def test_after_render_hooks_change_the_manifests_in_order(loaded: Load) -> None:
    found, project = loaded(
        "from innerloop import Manifest, hook\n"
        "@hook('after-render')\n"
        "def team(manifests, project):\n"
        "    for m in manifests:\n"
        "        m.labels['team'] = project.name\n"
        "    return manifests\n"
        "@hook('after-render')\n"
        "async def first_only(manifests, project):\n"
        "    return manifests[:1]\n"
    )
    rendered = await found.after_render([manifest("a"), manifest("b")], project)
    assert [(one.name, one.labels) for one in rendered] == [("a", {"team": "shop"})]


async def test_other_hooks_get_the_project(loaded: Load, tmp_path: Path) -> None:
    found, project = loaded(
        "from innerloop import hook\n"
        "@hook('ready')\n"
        "def note(project):\n"
        "    (project.folder / 'noted').write_text(project.name)\n"
    )
    await found.run("ready", project)
    await found.run("failed", project)
    assert (tmp_path / "noted").read_text() == "shop"


async def test_renderers_builders_and_commands_are_called_by_name(loaded: Load) -> None:
    found, project = loaded(
        "from innerloop import Manifest, builder, command, renderer\n"
        "@renderer('own')\n"
        "def render(source, project):\n"
        "    return [Manifest({'kind': source.options['kind']})]\n"
        "@builder('bazel')\n"
        "def build(image, reference, project):\n"
        "    (project.folder / 'built').write_text(f'{image.name} {reference}')\n"
        "@command('seed')\n"
        "async def seed(project, arguments):\n"
        "    return len(arguments)\n"
    )
    assert [m.kind for m in await found.render(PluginSource(renderer="own", options={"kind": "Pod"}), project)] == [
        "Pod"
    ]
    image = Image(name="web", repository="web", context=Path(), dockerfile=Path(), builder="bazel")
    await found.build(image, "web:1", project)
    assert (project.folder / "built").read_text() == "web web:1"
    assert await found.command("seed", project, ["a", "b"]) == 2


async def test_an_unknown_renderer_is_told(loaded: Load) -> None:
    found, project = loaded("")
    with pytest.raises(LoopError, match="no plugin has a renderer 'own'"):
        await found.render(PluginSource(renderer="own"), project)


def test_each_load_registers_anew(loaded: Load) -> None:
    text = "from innerloop import hook\n@hook('ready')\ndef f(project): ...\n"
    assert [len(loaded(text)[0].hooks["ready"]) for _ in range(2)] == [1, 1]


def test_without_a_load_decorators_leave_functions_alone() -> None:
    def function(project: Project) -> None: ...

    assert innerloop.hook("ready")(function) is function


def test_dataclasses_work_in_plugins(loaded: Load) -> None:
    loaded("from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    b: int\n")


@pytest.mark.parametrize(
    ("text", "told", "hint"),
    [
        ("x = 1 / 0\n", "plugin.py:1: the plugin failed: ZeroDivisionError: division by zero", None),
        (
            "\nfrom innerloop import hook\n@hook('after-rendr')\ndef f(): ...\n",
            "plugin.py:3: unknown hook point 'after-rendr'",
            "did you mean 'after-render'?",
        ),
        (
            "from innerloop import command\nfor _ in 1, 2:\n    @command('a')\n    def f(): ...\n",
            "plugin.py:3: 'a' is registered twice in commands, first at {folder}/plugin.py:3",
            None,
        ),
    ],
)
def test_errors_while_loading_have_the_plugins_place(
    loaded: Load, tmp_path: Path, text: str, told: str, hint: str | None
) -> None:
    with pytest.raises(LoopError) as caught:
        loaded(text)
    assert str(caught.value) == f"{tmp_path}/{told}".replace("{folder}", str(tmp_path))
    assert caught.value.hint == hint


def test_a_syntax_error_has_its_place(loaded: Load, tmp_path: Path) -> None:
    with pytest.raises(LoopError, match="no Python") as caught:
        loaded("a = 1\nb = (\n")
    assert caught.value.where == Location(str(tmp_path / "plugin.py"), 2, 5)


def test_a_missing_plugin_is_told_where_it_is_named(read: Read) -> None:
    with pytest.raises(LoopError, match=r"loop\.yaml:2:11: plugin .*nope\.py cannot be read"):
        plugins.load(read("plugins: [nope.py]\n"))


async def test_an_error_in_a_hook_shows_the_plugins_own_frames(loaded: Load, tmp_path: Path) -> None:
    found, project = loaded(
        "import json\nfrom innerloop import hook\n"
        "@hook('ready')\ndef f(project):\n    g()\n"
        "def g():\n    json.loads('')\n"
    )
    with pytest.raises(LoopError, match="JSONDecodeError") as caught:
        await found.run("ready", project)
    assert caught.value.where == Location(str(tmp_path / "plugin.py"), 7)
    assert str(caught.value.detail).count("File ") == 2


async def test_a_hook_with_wrong_parameters_is_told_where_it_stands(loaded: Load, tmp_path: Path) -> None:
    found, project = loaded("from innerloop import hook\n@hook('ready')\ndef f(): ...\n")
    with pytest.raises(LoopError, match="takes 0 positional arguments but 1 was given") as caught:
        await found.run("ready", project)
    assert caught.value.where == Location(str(tmp_path / "plugin.py"), 2)


async def test_an_after_render_hook_must_return_manifests(loaded: Load) -> None:
    found, project = loaded("from innerloop import hook\n@hook('after-render')\ndef f(manifests, project): ...\n")
    with pytest.raises(LoopError, match="f must return a list of manifests") as caught:
        await found.after_render([manifest()], project)
    assert caught.value.hint == "end it with 'return manifests'"
