"""Kustomizations, by the real kustomize."""

from __future__ import annotations

import pytest

from innerloop.errors import LoopError
from innerloop.project import KustomizeSource
from tests.render.conftest import Workspace, config_map

pytestmark = pytest.mark.usefixtures("tools")


def kustomize(workspace: Workspace, name: str, **fields: tuple[str, ...]) -> KustomizeSource:
    return KustomizeSource(path=workspace.folder / name, **fields)


async def test_an_overlay_gets_its_base_with_variables_in_both(workspace: Workspace) -> None:
    workspace.write("base/kustomization.yaml", "resources: [a.yaml]\nnamePrefix: ${PREFIX}-\n")
    workspace.write("base/a.yaml", config_map("a", x="'${PREFIX}'"))
    workspace.write("over/kustomization.yaml", "resources: [../base]\nnamespace: ${SPACE}\n")
    before = workspace.snapshot()
    [manifest] = await workspace.render(kustomize(workspace, "over"), PREFIX="p", SPACE="s")
    assert (manifest.name, manifest.namespace, manifest.source) == ("p-a", "s", "over")
    # only kustomizations were asked for
    assert manifest.object["data"] == {"x": "${PREFIX}"}
    assert workspace.snapshot() == before


async def test_everything_that_a_kustomization_names_is_taken_along(workspace: Workspace) -> None:
    workspace.write(
        "k/kustomization.yaml",
        """\
resources: [a.yaml, ../shared.d]
components: [../extra]
nameSuffix: ${SUFFIX}
patches:
- path: patch.yaml
- target: {kind: ConfigMap, name: b}
  patch: |-
    - {op: add, path: /data, value: {patched: inline}}
configMapGenerator:
- name: generated
  files: [script.sh, other=texts/text]
  envs: [some.env]
generatorOptions: {disableNameSuffixHash: true}
transformers: [labels.yaml]
""",
    )
    workspace.write("k/a.yaml", config_map("a"))
    workspace.write("k/patch.yaml", config_map("a", patched="file"))
    workspace.write("k/script.sh", "echo ${HOME}\n")
    workspace.write("k/some.env", "KEY=value\n")
    workspace.write(
        "k/labels.yaml",
        "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: p}\nprefix: x-\n"
        "fieldSpecs: [{path: metadata/name}]\n",
    )
    workspace.write("k/texts/text", "text")
    workspace.write("shared.d/kustomization.yml", "resources: [b.yaml]\n")
    workspace.write("shared.d/b.yaml", config_map("b"))
    workspace.write(
        "extra/Kustomization",
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ncommonAnnotations: {extra: 'yes'}\n",
    )
    manifests = await workspace.render(kustomize(workspace, "k"), SUFFIX="-s")
    data = {m.name: m.object.get("data") for m in manifests}
    assert data == {
        "x-a-s": {"patched": "file"},
        "x-b-s": {"patched": "inline"},
        "x-generated-s": {"KEY": "value", "other": "text", "script.sh": "echo ${HOME}\n"},
    }
    assert all(m.annotations["extra"] == "yes" for m in manifests)


async def test_variables_are_put_into_the_files_that_are_named(workspace: Workspace) -> None:
    workspace.write("k/kustomization.yaml", "resources: [a.yaml, d/b.yaml]\n")
    workspace.write("k/a.yaml", config_map("a", x="${TITLE}"))
    workspace.write("k/d/b.yaml", config_map("b", x="${TITLE}"))
    manifests = await workspace.render(kustomize(workspace, "k", substitute=("d/*",)), TITLE="Cats")
    assert [m.object["data"]["x"] for m in manifests] == ["${TITLE}", "Cats"]


async def test_a_variable_may_choose_the_base(workspace: Workspace) -> None:
    workspace.write("k/kustomization.yaml", "resources: [../${WHICH}]\n")
    workspace.write("one/kustomization.yaml", "resources: [a.yaml]\n")
    workspace.write("one/a.yaml", config_map("a"))
    assert [m.name for m in await workspace.render(kustomize(workspace, "k"), WHICH="one")] == ["a"]


async def test_an_undefined_variable_is_told_with_its_place(workspace: Workspace) -> None:
    workspace.write("k/kustomization.yaml", "resources: []\nnamespace: ${NONE}\n")
    with pytest.raises(LoopError) as failure:
        await workspace.render(kustomize(workspace, "k"))
    assert str(failure.value) == "k/kustomization.yaml:2:12: undefined variable ${NONE}"


@pytest.mark.parametrize("namespace", ["x", "${SPACE}"])
async def test_what_kustomize_says_is_told_with_the_users_own_paths(workspace: Workspace, namespace: str) -> None:
    workspace.write("k/kustomization.yaml", f"resources: [missing.yaml]\nnamespace: {namespace}\n")
    with pytest.raises(LoopError) as failure:
        await workspace.render(kustomize(workspace, "k"), SPACE="s")
    assert str(failure.value) == "k/kustomization.yaml: kustomization k cannot be built"
    assert "missing.yaml" in str(failure.value.detail)
    assert "command failed" not in str(failure.value.detail)
    assert "innerloop-" not in str(failure.value.detail)


async def test_a_folder_without_a_kustomization_is_told(workspace: Workspace) -> None:
    workspace.write("k/a.yaml", config_map("a"))
    with pytest.raises(LoopError, match=r"k has no kustomization\.yaml"):
        await workspace.render(kustomize(workspace, "k"))
