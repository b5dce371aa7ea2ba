"""``loop render``."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

LOOP = Path(sys.executable).with_name("loop")

OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {title: '${TITLE}'}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "loop.yaml").write_text("name: shop\nvariables: {TITLE: Cats}\nmanifests: [{files: 'deploy/*.yaml'}]\n")
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/a.yaml").write_text(OBJECT % "a")
    (tmp_path / "deploy/b.yaml").write_text(OBJECT % "b")
    return tmp_path


def loop(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("LOOP_")}
    env |= {"KUBECONFIG": "none", "XDG_STATE_HOME": str(folder / ".home"), "XDG_CACHE_HOME": str(folder / ".home")}
    return subprocess.run([str(LOOP), "render", *arguments], cwd=folder, env=env, capture_output=True, text=True)


def test_the_stream_is_printed_without_a_cluster_and_tells_its_sources(folder: Path) -> None:
    done = loop(folder)
    assert done.stdout.startswith("---\n# Source: deploy/a.yaml\napiVersion: v1\nkind: ConfigMap\n")
    assert (done.returncode, done.stderr, done.stdout.count("title: Cats")) == (0, "", 2)


def test_the_same_input_gives_the_same_output(folder: Path) -> None:
    assert loop(folder).stdout == loop(folder).stdout


def test_json_is_one_list(folder: Path) -> None:
    stream = json.loads(loop(folder, "-o", "json", "--set", "TITLE=Dogs").stdout)
    assert stream["kind"] == "List"
    assert [(item["metadata"]["name"], item["data"]["title"]) for item in stream["items"]] == [
        ("a", "Dogs"),
        ("b", "Dogs"),
    ]


def test_a_folder_gets_a_file_per_object_and_loses_those_that_are_no_longer_rendered(folder: Path) -> None:
    loop(folder, "--output", "out")
    (folder / "out/own.yaml").write_text("a: 1\n")
    (folder / "deploy/a.yaml").unlink()
    loop(folder, "--output", "out")
    assert sorted(file.name for file in (folder / "out").iterdir()) == ["configmap-b.yaml", "own.yaml"]


def test_a_file_is_named_by_its_namespace_where_that_is_not_the_projects(folder: Path) -> None:
    other = (OBJECT % "a").replace("{name: a}", "{name: a, namespace: other}")
    (folder / "deploy/a.yaml").write_text(f"{OBJECT % 'a'}---\n{other}")
    loop(folder, "--output", "out", "--namespace", "mine")
    assert sorted(file.name for file in (folder / "out").iterdir()) == [
        "configmap-a.yaml", "configmap-b.yaml", "configmap-other-a.yaml",
    ]  # fmt: skip


def test_a_file_of_someone_else_is_not_overwritten(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out/configmap-a.yaml").write_text("precious: true\n")
    done = loop(folder, "--output", "out")
    assert done.returncode == 1
    assert "out/configmap-a.yaml is there and was not rendered by innerloop" in done.stderr
    assert (folder / "out/configmap-a.yaml").read_text() == "precious: true\n"


def test_hooks_around_rendering_run(folder: Path) -> None:
    plugin = """\
from innerloop import hook

@hook("after-render")
def label(manifests, project):
    for manifest in manifests:
        manifest.labels["team"] = "shop"
    return manifests
"""
    (folder / "plugin.py").write_text(plugin)
    with (folder / "loop.yaml").open("a") as file:
        file.write("plugins: plugin.py\nhooks: {before-render: 'sed s/a}/c}/ deploy/a.yaml > deploy/c.yaml'}\n")
    done = loop(folder, "-o", "json")
    items = json.loads(done.stdout)["items"]
    assert [(item["metadata"]["name"], item["metadata"]["labels"]["team"]) for item in items] == [
        ("a", "shop"), ("b", "shop"), ("c", "shop"),
    ]  # fmt: skip


def test_a_mistake_is_told_with_its_place(folder: Path) -> None:
    (folder / "deploy/a.yaml").write_text("kind: ConfigMap\n")
    done = loop(folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: deploy/a.yaml:1: this object has no apiVersion")


def test_a_terminal_is_not_filled_with_binary_data(folder: Path) -> None:
    (folder / "deploy/b.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\nbinaryData: {program: QUJD}\n"
    )
    assert "program: QUJD" in loop(folder).stdout
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "wb") as terminal:
        code = subprocess.call(
            [str(LOOP), "render"], cwd=folder, env={**os.environ, "KUBECONFIG": "none"}, stdout=terminal
        )
    text = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert (code, "QUJD" in text) == (0, False)
    assert "program: (4 characters, left out on a terminal)" in text
