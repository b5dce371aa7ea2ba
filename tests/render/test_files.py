"""Plain manifests."""

from __future__ import annotations

import pytest

from innerloop.errors import LoopError
from innerloop.project import FilesSource
from tests.render.conftest import Workspace, config_map


def files(workspace: Workspace, pattern: str = "*.yaml", *, substitute: bool = True) -> FilesSource:
    return FilesSource(pattern=f"{workspace.folder}/{pattern}", substitute=substitute)


async def test_files_are_read_in_sorted_order_with_all_their_documents(workspace: Workspace) -> None:
    workspace.write("b.yaml", config_map("three"))
    workspace.write("a.yaml", f"# comment\n---\n{config_map('one')}---\n---\n{config_map('two')}")
    manifests = await workspace.render(files(workspace))
    assert [(m.name, m.source) for m in manifests] == [("one", "a.yaml"), ("two", "a.yaml"), ("three", "b.yaml")]


async def test_a_folder_means_the_manifests_in_it(workspace: Workspace) -> None:
    workspace.write("deploy/a.yml", config_map("a"))
    workspace.write("deploy/notes.md", "no manifest")
    assert [m.name for m in await workspace.render(files(workspace, "deploy"))] == ["a"]


async def test_lists_are_unpacked(workspace: Workspace) -> None:
    item = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "%s"}}'
    text = f'{{"apiVersion": "v1",\n\t"kind": "List", "items": [{item % "a"}, {item % "b"}]}}'
    workspace.write("list.json", text)
    assert [m.name for m in await workspace.render(files(workspace, "*.json"))] == ["a", "b"]


async def test_variables_are_put_in(workspace: Workspace) -> None:
    workspace.write("a.yaml", config_map("a", title="${TITLE}", script="echo $${HOME} $PATH"))
    [manifest] = await workspace.render(files(workspace), TITLE="Cats")
    assert manifest.object["data"] == {"title": "Cats", "script": "echo ${HOME} $PATH"}


async def test_variables_may_be_left_alone(workspace: Workspace) -> None:
    workspace.write("a.yaml", config_map("a", title="${TITLE}"))
    [manifest] = await workspace.render(files(workspace, substitute=False))
    assert manifest.object["data"] == {"title": "${TITLE}"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (config_map("a", title="${OTHER}"), "a.yaml:6:10: undefined variable ${OTHER}"),
        ("\n# note\nkind: ConfigMap\nmetadata: {name: a}\n", "a.yaml:3: this object has no apiVersion"),
        ("apiVersion: v1\nmetadata: {name: a}\n", "a.yaml:1: this object has no kind"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {}\n", "a.yaml:1: this Pod has no metadata.name"),
        ("- a\n", "a.yaml:1: a Kubernetes object is expected, this is no mapping"),
        (f"{config_map('a')}---\nkind: [\n", "a.yaml:7:1: "),
        (f"{config_map('a')}---\na: 1\na: 2\n", "a.yaml:7:1: duplicate key 'a'"),
        ("a:\n\tb: 1\n", "a.yaml:2:1: a tab cannot indent YAML"),
    ],
)
async def test_mistakes_are_told_with_their_place(workspace: Workspace, text: str, message: str) -> None:
    workspace.write("a.yaml", text)
    with pytest.raises(LoopError) as failure:
        await workspace.render(files(workspace))
    assert str(failure.value).startswith(message)


async def test_a_pattern_without_a_match_is_told(workspace: Workspace) -> None:
    with pytest.raises(LoopError, match="no file matches"):
        await workspace.render(files(workspace, "none/*.yaml"))


async def test_an_object_of_two_sources_is_told(workspace: Workspace) -> None:
    workspace.write("a.yaml", config_map("a"))
    workspace.write("b.yaml", config_map("a"))
    with pytest.raises(LoopError, match=r"ConfigMap/a is rendered twice: by a\.yaml and by b\.yaml"):
        await workspace.render(files(workspace, "a.yaml"), files(workspace, "b.yaml"))


async def test_names_may_be_equal_in_two_namespaces(workspace: Workspace) -> None:
    workspace.write("a.yaml", config_map("a"))
    workspace.write("b.yaml", config_map("a\n  namespace: other"))
    assert len(await workspace.render(files(workspace))) == 2
