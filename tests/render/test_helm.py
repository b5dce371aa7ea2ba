"""Charts, by the real helm."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from innerloop import processes
from innerloop.errors import LoopError
from innerloop.project import HelmSource
from innerloop.render import programs
from tests.build.registry import FakeRegistry, serving
from tests.render.conftest import Workspace, config_map

pytestmark = pytest.mark.usefixtures("tools")

VALUES = config_map("values", json="{{ .Values | toJson | quote }}")


async def values_of(workspace: Workspace, source: HelmSource, **variables: str) -> dict[str, object]:
    """What the chart's templates see."""
    [manifest] = await workspace.render(source, **variables)
    found: dict[str, object] = json.loads(manifest.object["data"]["json"])
    return found


async def test_manifests_know_their_template_and_release(workspace: Workspace) -> None:
    workspace.chart(a=config_map("{{ .Release.Name }}-{{ .Release.Namespace }}"))
    [manifest] = await workspace.render(workspace.helm())
    assert (manifest.name, manifest.source) == ("shop-mine", "chart/templates/a.yaml")


async def test_values_come_from_the_chart_then_the_files_then_set(workspace: Workspace) -> None:
    workspace.chart(a=VALUES)
    workspace.write("chart/values.yaml", "a: chart\nb: chart\nc: chart\n")
    workspace.write("one.yaml", "b: one\nc: one\n")
    workspace.write("two.yaml", "c: two\n")
    source = workspace.helm(values=["one.yaml", "two.yaml"], set={"d.e": "set"})
    assert await values_of(workspace, source) == {"a": "chart", "b": "one", "c": "two", "d": {"e": "set"}}


async def test_set_keeps_types(workspace: Workspace) -> None:
    workspace.chart(a=VALUES)
    workspace.write("chart/values.yaml", "e: removed by null\n")
    given = {"a": True, "b": 1, "c": "1", "d": "true", "e": None, "f": [1, "x"], "g": {"h": 0.5}, "i": "a,b=c{}"}
    found = await values_of(workspace, workspace.helm(set=given))
    assert found == {name: value for name, value in given.items() if value is not None}


async def test_set_reaches_into_lists_and_names_with_dots(workspace: Workspace) -> None:
    workspace.chart(a=VALUES)
    workspace.write("values.yaml", "hosts: [{name: a, port: 1}, {name: b}]\n")
    source = workspace.helm(values=["values.yaml"], set={"hosts[0].name": "c", "labels.example\\.com/x": "y"})
    assert await values_of(workspace, source) == {
        "hosts": [{"name": "c", "port": 1}, {"name": "b"}],
        "labels": {"example.com/x": "y"},
    }


async def test_variables_in_value_files_are_replaced_and_the_tree_is_not_written(workspace: Workspace) -> None:
    workspace.chart(a=VALUES)
    workspace.write("values.yaml", 'title: "${TITLE}"\nscript: $${HOME}\n')
    before = workspace.snapshot()
    found = await values_of(workspace, workspace.helm(values=["values.yaml"]), TITLE="Cats")
    assert found == {"title": "Cats", "script": "${HOME}"}
    assert workspace.snapshot() == before


async def test_an_undefined_variable_is_told_with_its_place(workspace: Workspace) -> None:
    workspace.chart(a=VALUES)
    workspace.write("values.yaml", "a: 1\ntitle: ${TITEL}\n")
    with pytest.raises(LoopError) as failure:
        await workspace.render(workspace.helm(values=["values.yaml"]), TITLE="Cats")
    assert str(failure.value) == "values.yaml:2:8: undefined variable ${TITEL}"
    assert failure.value.hint == "did you mean 'TITLE'?"


async def test_resource_definitions_and_install_hooks_are_part_of_it_tests_and_other_hooks_are_not(
    workspace: Workspace,
) -> None:
    def hooked(name: str, hooks: str) -> str:
        return config_map(f"{name}\n  annotations: {{helm.sh/hook: '{hooks}'}}")

    workspace.chart(
        a=hooked("install", "post-upgrade, pre-install"),
        b=hooked("test", "test"),
        c=hooked("delete", "pre-delete"),
        d=hooked("upgrade", "pre-upgrade"),
        e=config_map("plain"),
    )
    workspace.write("chart/crds/crd.yaml", config_map("crd"))
    assert sorted(m.name for m in await workspace.render(workspace.helm())) == ["crd", "install", "plain"]


@pytest.mark.parametrize(
    ("template", "place", "detail"),
    [
        ("a: {{ .Values.x.y }}\n", ":1:14", "nil pointer evaluating interface"),
        ('a: 1\n{{ fail "told so" }}\n', ":2:4", "told so"),
        ("a: 1\nb: {{ if }}\n", ":2", "missing value for if"),
        ("a: 1\n b: 2\n", "", "YAML parse error"),
        ("kind: ConfigMap\nmetadata: {name: a}\n", "", "rendered as:"),
    ],
)
async def test_mistakes_in_templates_are_told_with_their_place(
    workspace: Workspace, template: str, place: str, detail: str
) -> None:
    workspace.chart(bad=template)
    with pytest.raises(LoopError) as failure:
        await workspace.render(workspace.helm())
    assert str(failure.value).startswith(f"chart/templates/bad.yaml{place}: ")
    assert detail in str(failure.value.detail)


async def test_a_broken_values_file_is_told_with_its_place(workspace: Workspace) -> None:
    workspace.chart(a=VALUES)
    workspace.write("values.yaml", "a:\n\tb: 1\n")
    with pytest.raises(LoopError, match=r"^values\.yaml:2:1: a tab cannot indent YAML$"):
        await workspace.render(workspace.helm(values=["values.yaml"]))


async def test_the_last_of_equal_keys_counts_as_it_does_for_helm(workspace: Workspace) -> None:
    workspace.chart(a=config_map("a", x="1") + "  x: '2'\n")
    [manifest] = await workspace.render(workspace.helm())
    assert manifest.object["data"] == {"x": "2"}


async def test_a_folder_without_a_chart_is_told(workspace: Workspace) -> None:
    workspace.write("chart/values.yaml", "")
    with pytest.raises(LoopError, match=r"chart is no chart: it has no Chart\.yaml"):
        await workspace.render(workspace.helm())


def depend(workspace: Workspace, name: str, repository: str) -> None:
    chart = workspace.folder / "chart/Chart.yaml"
    text = f"- name: {name}\n  version: 0.1.0\n  repository: {repository}\n"
    chart.write_text(f"{chart.read_text()}dependencies:\n{text}")


async def test_charts_beside_the_chart_are_used_as_they_are_now(workspace: Workspace) -> None:
    workspace.chart(a=config_map("own"))
    workspace.chart("common", b=config_map("common"))
    depend(workspace, "common", "file://../common")
    before = workspace.snapshot()
    assert {m.name for m in await workspace.render(workspace.helm())} == {"own", "common"}
    assert workspace.snapshot() == before
    workspace.write("common/templates/b.yaml", config_map("changed"))
    assert {m.name for m in await workspace.render(workspace.helm())} == {"own", "changed"}


async def test_a_stale_copy_of_a_chart_beside_the_chart_does_not_count(workspace: Workspace) -> None:
    workspace.chart(a=config_map("own"))
    workspace.chart("common", b=config_map("now"))
    workspace.chart("chart/charts/common", b=config_map("stale"))
    depend(workspace, "common", "file://../common")
    assert sorted(m.name for m in await workspace.render(workspace.helm())) == ["now", "own"]


async def test_charts_that_need_each_other_are_told(workspace: Workspace) -> None:
    workspace.chart(a=config_map("own"))
    depend(workspace, "chart", "file://../chart")
    with pytest.raises(LoopError, match="charts depend on each other in a circle: chart → chart"):
        await workspace.render(workspace.helm())


async def test_dependencies_of_dependencies_are_there(workspace: Workspace) -> None:
    workspace.chart(a=config_map("own"))
    workspace.chart("common", b=config_map("common"))
    workspace.chart("deep", c=config_map("deep"))
    depend(workspace, "common", "file://../common")
    text = "dependencies: [{name: deep, version: 0.1.0, repository: 'file://../deep'}]\n"
    workspace.write("common/Chart.yaml", f"apiVersion: v2\nname: common\nversion: 0.1.0\n{text}")
    assert {m.name for m in await workspace.render(workspace.helm())} == {"own", "common", "deep"}


@pytest.fixture
def repository(workspace: Workspace, tmp_path: Path) -> Iterator[str]:
    """Address of a chart repository that has the chart ``redis`` 0.1.0."""
    folder = tmp_path / "repository"
    folder.mkdir()
    workspace.chart("redis", r=config_map("redis"))
    helm = programs.helm()
    subprocess.run([helm, "package", workspace.folder / "redis", "-d", folder], check=True, capture_output=True)
    subprocess.run([helm, "repo", "index", folder], check=True)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_missing_dependencies_are_fetched_once_into_the_cache(workspace: Workspace, repository: str) -> None:
    workspace.chart(a=config_map("own"))
    depend(workspace, "redis", repository)
    before = workspace.snapshot()
    assert {m.name for m in await workspace.render(workspace.helm())} == {"own", "redis"}
    assert workspace.snapshot() == before
    workspace.write("chart/templates/NOTES.txt", "")
    (workspace.folder / "chart/templates/NOTES.txt").unlink()
    # the address no longer matters
    assert {m.name for m in await workspace.render(workspace.helm())} == {"own", "redis"}


async def test_a_dependency_that_cannot_be_fetched_is_told(workspace: Workspace) -> None:
    workspace.chart(a=config_map("own"))
    depend(workspace, "redis", "http://127.0.0.1:1/charts")
    with pytest.raises(LoopError) as failure:
        await workspace.render(workspace.helm())
    assert str(failure.value) == "chart/Chart.yaml: dependencies of chart chart cannot be fetched"
    assert "127.0.0.1:1" in str(failure.value.detail)


async def test_a_chart_of_a_repository_is_pulled_once(workspace: Workspace, repository: str) -> None:
    source = HelmSource(chart="redis", repo=repository, version="0.1.0", release="cache")
    [manifest] = await workspace.render(source)
    assert (manifest.name, manifest.source) == ("redis", "redis/templates/r.yaml")
    again = HelmSource(chart="redis", repo=repository, version="0.1.0", release="other")
    assert len(await workspace.render(again)) == 1


async def test_a_chart_that_cannot_be_pulled_is_told(workspace: Workspace, repository: str) -> None:
    with pytest.raises(LoopError, match=r"loop\.yaml: chart redis cannot be pulled") as failure:
        await workspace.render(HelmSource(chart="redis", repo=repository, version="9.9.9", release="cache"))
    assert "9.9.9" in str(failure.value.detail)


async def test_a_chart_of_an_oci_registry_is_pulled(workspace: Workspace, tmp_path: Path) -> None:
    workspace.chart("redis", r=config_map("redis"))
    async with serving(FakeRegistry()) as registry:
        address = f"oci://{registry.host}/charts"
        helm = programs.helm()
        await processes.run([helm, "package", str(workspace.folder / "redis"), "-d", str(tmp_path)])
        await processes.run([helm, "push", "--plain-http", str(tmp_path / "redis-0.1.0.tgz"), address])
        source = HelmSource(chart=f"{address}/redis", version="0.1.0", release="cache")
        assert [m.name for m in await workspace.render(source)] == ["redis"]
    # the registry is gone, the chart is not
    assert len(await workspace.render(source)) == 1
