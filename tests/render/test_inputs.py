"""When the stream has to be rendered again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from innerloop.project import FilesSource, KustomizeSource, Project
from innerloop.render.inputs import fingerprint, input_paths
from tests.render.conftest import Workspace, config_map

Change = Callable[[Workspace], object]


@pytest.fixture
def everything(workspace: Workspace) -> Workspace:
    """Sources of all kinds."""
    workspace.chart("deploy/chart", a=config_map("a"))
    workspace.write(
        "deploy/chart/Chart.yaml",
        "apiVersion: v2\nname: chart\nversion: 0.1.0\n"
        "dependencies: [{name: common, version: 0.1.0, repository: 'file://../common'}]\n",
    )
    workspace.chart("deploy/common", b=config_map("b"))
    workspace.write("values.yaml", "")
    workspace.write("over/kustomization.yaml", "resources: [../base]\n")
    workspace.write("base/kustomization.yaml", "resources: [c.yaml]\n")
    workspace.write("base/c.yaml", config_map("c"))
    workspace.write("plain/d.yaml", config_map("d"))
    workspace.write("web/main.py", "")
    return workspace


def project(workspace: Workspace, title: str = "Cats") -> Project:
    return workspace.project(
        workspace.helm("deploy/chart", ["values.yaml"]),
        KustomizeSource(path=workspace.folder / "over"),
        FilesSource(pattern=f"{workspace.folder}/plain/*.yaml"),
        TITLE=title,
    )


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda w: w.write("deploy/chart/templates/a.yaml", "changed"), id="template"),
        pytest.param(lambda w: w.write("deploy/chart/templates/new.yaml", ""), id="new template"),
        pytest.param(lambda w: w.write("deploy/common/templates/b.yaml", "changed"), id="template of a dependency"),
        pytest.param(lambda w: w.write("values.yaml", "a: 1"), id="values"),
        pytest.param(lambda w: (w.folder / "values.yaml").unlink(), id="values gone"),
        pytest.param(lambda w: w.write("over/kustomization.yaml", "resources: []"), id="kustomization"),
        pytest.param(lambda w: w.write("base/c.yaml", "changed"), id="file of a base"),
        pytest.param(lambda w: w.write("plain/d.yaml", "changed"), id="plain file"),
        pytest.param(lambda w: w.write("plain/e.yaml", config_map("e")), id="new plain file"),
    ],
)
def test_a_change_of_any_input_changes_the_fingerprint(everything: Workspace, change: Change) -> None:
    before = fingerprint(project(everything))
    change(everything)
    assert fingerprint(project(everything)) != before


def test_variables_are_inputs(everything: Workspace) -> None:
    assert fingerprint(project(everything, "Cats")) != fingerprint(project(everything, "Dogs"))


def test_source_code_is_no_input(everything: Workspace) -> None:
    before = fingerprint(project(everything))
    everything.write("web/main.py", "changed")
    everything.write("plain/notes.md", "changed")
    assert fingerprint(project(everything)) == before


def test_what_is_watched_covers_all_sources_and_no_more(everything: Workspace) -> None:
    found = [str(path.relative_to(everything.folder)) for path in input_paths(project(everything))]
    assert found == [
        "base/c.yaml", "base/kustomization.yaml", "deploy/chart", "deploy/common", "over", "plain", "values.yaml",
    ]  # fmt: skip


def test_the_projects_own_folder_is_never_watched_as_a_whole(workspace: Workspace) -> None:
    file = workspace.write("deploy.yaml", config_map("a"))
    workspace.write("kustomization.yaml", "resources: [deploy.yaml]\n")
    sources = (
        FilesSource(pattern=f"{workspace.folder}/*.yaml"),
        KustomizeSource(path=workspace.folder),
        workspace.helm("."),
    )
    for source in sources:
        paths: list[Path] = input_paths(workspace.project(source))
        assert not any(workspace.folder.is_relative_to(path) for path in paths)
    assert file in input_paths(workspace.project(sources[0]))
