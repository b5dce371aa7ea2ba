"""What is rendered differently each time, and how it is told: by the real helm."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from innerloop.errors import LoopError
from innerloop.events import Notice
from innerloop.render import programs
from tests.environments.conftest import Shop, config_map

pytestmark = pytest.mark.usefixtures("tools")


@pytest.fixture
def charted(shop: Shop) -> Shop:
    """The project's only source is a chart with one harmless template."""
    shop.write("loop.yaml", (shop.folder / "loop.yaml").read_text().replace("files: 'deploy/*.yaml'", "helm: chart"))
    shop.write("chart/Chart.yaml", "apiVersion: v2\nname: chart\nversion: 0.1.0\n")
    shop.write("chart/templates/plain.yaml", template("plain", "same"))
    return shop


def template(name: str, value: str, kind: str = "ConfigMap") -> str:
    return f"apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n# {{{{/* now */}}}}\ndata:\n  a: {value}\n"


async def refused(shop: Shop) -> LoopError:
    with pytest.raises(LoopError) as failure:
        await shop.render()
    return failure.value


@pytest.mark.parametrize(
    "call",
    [
        "randAlphaNum 8 | b64enc",
        "uuidv4",
        'genPrivateKey "ed25519" | b64enc',
        '(genSelfSignedCert "a" nil nil 1).Cert | b64enc',
        '(genCA "a" 1).Cert | b64enc',
        'htpasswd "a" "b" | b64enc',
        'bcrypt "a"',
        "randBytes 8",
        'now | date "2006-01-02"',
        "now | unixEpoch",
        '(now | date "2006")',
        'dateModify "1h" (now) | date "2006"',
    ],
)
async def test_what_a_chart_makes_up_is_told_with_file_line_and_function(charted: Shop, call: str) -> None:
    charted.write("chart/templates/made.yaml", template("made", f"{{{{ {call} }}}}", "Secret"))
    failure = await refused(charted)
    assert str(failure) == "chart/templates/made.yaml:7: Secret/made is rendered differently each time"
    assert failure.detail is not None and failure.detail.startswith("Secret/made of chart/templates/made.yaml: ")
    assert failure.hint is not None and "object: Secret/made" in failure.hint


async def test_a_helpers_call_is_told_where_it_stands(charted: Shop) -> None:
    charted.write("chart/templates/_made.tpl", '{{- define "made" -}}\n{{ randAlpha 9 }}\n{{- end -}}\n')
    charted.write("chart/templates/made.yaml", template("made", '{{ include "made" . }}'))
    assert (await refused(charted)).where == ("chart/templates/_made.tpl", 2, 0)


async def test_a_name_that_is_made_up_is_told_once(charted: Shop) -> None:
    charted.write("chart/templates/made.yaml", template("made-{{ randNumeric 9 }}", "a"))
    detail = (await refused(charted)).detail
    assert detail is not None and len(detail.splitlines()) == 1


@pytest.fixture
def packed(charted: Shop) -> Shop:
    """The chart takes the chart ``common`` from beside it, so that helm packs that into an archive."""
    charted.write(
        "chart/Chart.yaml",
        "apiVersion: v2\nname: chart\nversion: 0.1.0\n"
        "dependencies: [{name: common, version: 0.1.0, repository: 'file://../common'}]\n",
    )
    charted.write("common/Chart.yaml", "apiVersion: v2\nname: common\nversion: 0.1.0\n")
    return charted


@pytest.mark.parametrize("call", ["now | unixEpoch", "uuidv4"])
async def test_what_a_packed_chart_makes_up_is_told_with_its_line(packed: Shop, call: str) -> None:
    packed.write("common/templates/made.yaml", template("made", f"{{{{ {call} }}}}"))
    detail = (await refused(packed)).detail
    function = call.partition(" ")[0]
    place = "chart/charts/common/templates/made.yaml"
    assert detail == f"ConfigMap/made of {place}: {function} at {place}:7"


async def test_all_objects_are_told_together(charted: Shop) -> None:
    for name in ("a", "b"):
        charted.write(f"chart/templates/{name}.yaml", template(name, "{{ uuidv4 }}"))
    failure = await refused(charted)
    assert failure.message == "2 objects are rendered differently each time"
    assert failure.detail is not None and [line.split()[0] for line in failure.detail.splitlines()] == [
        "ConfigMap/a",
        "ConfigMap/b",
    ]


async def test_functions_that_change_nothing_in_the_objects_are_left_alone(charted: Shop) -> None:
    unused = '{{ if .Values.no }}{{ now }}{{ end }}{{ $x := now | date "2006" }}"now {{ "now" }}"'
    charted.write("chart/templates/made.yaml", template("made", unused))
    charted.write("chart/templates/NOTES.txt", "Installed at {{ now }}\n")
    manifests = (await charted.render()).manifests
    assert [m.object["data"]["a"] for m in manifests if m.name == "made"] == ["now now"]


async def test_dates_do_not_depend_on_the_time_zone(charted: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    text = '{{ toDate "2006-01-02" "2020-02-02" | date "15:04 MST" }}'
    charted.write("chart/templates/made.yaml", template("made", text))
    assert [m.object["data"]["a"] for m in (await charted.render()).manifests if m.name == "made"] == ["00:00 UTC"]


async def test_an_object_that_is_allowed_keeps_what_was_made_up_first(charted: Shop) -> None:
    charted.write("chart/templates/made.yaml", template("made", "{{ uuidv4 }}", "Secret"))
    charted.add("gitops: {repository: ./r, allow: [{gate: random, object: Secret/ma*, reason: it is rotated}]}\n")
    first, second = await charted.render(), await charted.render()
    assert [m.object for m in first.manifests] == [m.object for m in second.manifests]
    told = [event.message for event in charted.told if isinstance(event, Notice)]
    assert told == ["Secret/made differs each time: it is rotated"] * 2


async def test_another_gates_exemption_does_not_count(charted: Shop) -> None:
    charted.write("chart/templates/made.yaml", template("made", "{{ uuidv4 }}", "Secret"))
    charted.add("gitops: {repository: ./r, allow: [{gate: plain-secret, object: '*', reason: test}]}\n")
    assert "Secret/made" in str(await refused(charted))


async def test_what_was_proven_is_not_proven_again(
    charted: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrapper = charted.write("../bin/helm", f'#!/bin/sh\necho "$1" >> {tmp_path}/calls\nexec {programs.helm()} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(wrapper.parent), prepend=os.pathsep)
    await charted.render()
    calls = (tmp_path / "calls").read_text().split()
    await charted.render()
    assert sorted(calls) == ["template", "template", "version"]
    assert (tmp_path / "calls").read_text().split() == calls


async def test_a_lookup_is_told_since_it_finds_nothing(charted: Shop) -> None:
    value = '{{ (lookup "v1" "Namespace" "" "default").kind | default "none" }}'
    charted.write("chart/templates/made.yaml", template("made", value))
    assert [m.object["data"]["a"] for m in (await charted.render()).manifests if m.name == "made"] == ["none"]
    assert charted.warnings == [
        "chart/templates/made.yaml:7: chart chart asks the cluster (lookup), and finds nothing when it is rendered"
    ]


async def test_a_lookup_for_the_notes_is_not_told(charted: Shop) -> None:
    charted.write("chart/templates/NOTES.txt", '{{ lookup "v1" "Namespace" "" "default" }}\n')
    await charted.render()
    assert charted.warnings == []


async def test_a_function_after_rendering_that_gives_something_else_is_told(shop: Shop) -> None:
    shop.write("deploy/a.yaml", config_map("a"))
    shop.write(
        "plugin.py",
        "from uuid import uuid4\n\nfrom innerloop import hook\n\n\n"
        '@hook("after-render")\ndef stamp(manifests, project):\n'
        '    manifests[0].annotations["stamp"] = str(uuid4())\n    return manifests\n',
    )
    shop.add("plugins: plugin.py\n")
    failure = await refused(shop)
    assert str(failure) == "loop.yaml:7:1: ConfigMap/a is rendered differently each time"
    assert failure.detail == "ConfigMap/a of deploy/a.yaml: after-render at loop.yaml:7:1"


async def test_a_plugins_renderer_that_gives_something_else_is_told(shop: Shop) -> None:
    shop.write("loop.yaml", (shop.folder / "loop.yaml").read_text().replace("files: 'deploy/*.yaml'", "renderer: own"))
    shop.write(
        "plugin.py",
        "from uuid import uuid4\n\nfrom innerloop import Manifest, renderer\n\n\n"
        '@renderer("own")\ndef own(source, project):\n'
        '    metadata = {"name": "a", "annotations": {"stamp": str(uuid4())}}\n'
        '    return [Manifest({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})]\n',
    )
    shop.add("plugins: plugin.py\n")
    assert str(await refused(shop)) == "loop.yaml:3:13: ConfigMap/a is rendered differently each time"
