"""What an environment gets."""

from __future__ import annotations

import pytest

from innerloop.errors import LoopError
from innerloop.gitops.environments.scopes import cluster_wide_kinds
from innerloop.kube import discovery
from innerloop.kube.client import Client
from innerloop.references import repository
from tests.environments.conftest import Shop, config_map

ROLE = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: reader}\n"


def definition(kind: str, scope: str) -> str:
    return (
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
        f"metadata: {{name: {kind.lower()}s.example.com}}\n"
        f"spec: {{group: example.com, scope: {scope}, names: {{kind: {kind}}}}}\n"
    )


def custom(kind: str) -> str:
    return f"apiVersion: example.com/v1\nkind: {kind}\nmetadata: {{name: a}}\n"


async def test_objects_without_a_namespace_get_the_environments(shop: Shop) -> None:
    shop.write("deploy/a.yaml", config_map("a") + "---\n" + config_map("b", ", namespace: other") + "---\n" + ROLE)
    manifests = (await shop.render()).manifests
    assert [(m.namespace, m.name) for m in manifests] == [("", "reader"), ("other", "b"), ("shop-dev", "a")]


async def test_custom_kinds_are_cluster_wide_where_their_definition_says_so(shop: Shop) -> None:
    shop.write("crds/deep/gate.yaml", definition("Gate", "Cluster"))
    shop.add("gitops: {repository: ./none, schemas: crds}\n")
    kinds = [custom(kind) for kind in ("Gate", "Rack", "Shelf", "Unknown")]
    definitions = [definition("Rack", "Cluster"), definition("Shelf", "Namespaced")]
    shop.write("deploy/a.yaml", "---\n".join([*definitions, *kinds]))
    manifests = (await shop.render()).manifests
    assert {m.kind: m.namespace for m in manifests if m.api_version == "example.com/v1"} == {
        "Gate": "",
        "Rack": "",
        "Shelf": "shop-dev",
        "Unknown": "shop-dev",
    }


@pytest.mark.cluster
async def test_kinds_of_kubernetes_are_known_as_a_server_has_them(client: Client) -> None:
    known = cluster_wide_kinds()
    groups = {group for group, _ in known} | {"apps", "batch", "policy", "autoscaling", "discovery.k8s.io"}
    served = [one for one in (await discovery.resources(client)).values() if one.group in groups]
    assert len(served) > 40
    assert {(one.group, one.kind) for one in served if not one.namespaced} <= known
    assert {(one.group, one.kind) for one in served if one.namespaced} & known == set()


async def test_the_environments_labels_are_on_every_object_and_win(shop: Shop) -> None:
    shop.write("deploy/a.yaml", config_map("a", ", labels: {app: a, tier: mine}") + "---\n" + ROLE)
    manifests = (await shop.render("prod")).manifests
    assert {m.name: m.labels for m in manifests} == {"reader": {"tier": "prod"}, "a": {"app": "a", "tier": "prod"}}


async def test_the_order_does_not_depend_on_the_files(shop: Shop) -> None:
    shop.write("deploy/1.yaml", config_map("b"))
    shop.write("deploy/2.yaml", config_map("a") + "---\napiVersion: v1\nkind: Alpha\nmetadata: {name: z}\n")
    assert [m.name for m in (await shop.render()).manifests] == ["z", "a", "b"]


async def test_dependencies_are_no_part_of_it(shop: Shop) -> None:
    shop.write("deploy/a.yaml", config_map("a"))
    shop.write("theirs.yaml", config_map("theirs"))
    shop.add("dependencies: {theirs: {files: theirs.yaml}}\n")
    assert [m.name for m in (await shop.render()).manifests] == ["a"]


async def test_hooks_around_rendering_run(shop: Shop) -> None:
    shop.write("deploy/a.yaml", config_map("a"))
    plugin = 'from innerloop import hook\n\n\n@hook("after-render")\ndef drop(manifests, project):\n    return []\n'
    shop.write("plugin.py", plugin)
    shop.add("plugins: plugin.py\nhooks: {before-render: 'echo $LOOP_ENVIRONMENT/$LOOP_NAMESPACE > seen'}\n")
    assert (await shop.render()).manifests == ()
    assert (shop.folder / "seen").read_text() == "dev/shop-dev\n"


@pytest.mark.usefixtures("tools")
async def test_the_templates_are_shown_with_the_variables_put_in(shop: Shop) -> None:
    shop.write("deploy/a.yaml", config_map("a"))
    shop.write("chart/Chart.yaml", "apiVersion: v2\nname: chart\nversion: 0.1.0\n")
    shop.write("chart/templates/x.yaml", "# {{ .Values.title }} ${TITLE}\n")
    shop.write("values.yaml", "title: ${TITLE}\n")
    shop.write("../common/Chart.yaml", "apiVersion: v2\nname: common\nversion: 0.1.0\n")
    shop.write("base/kustomization.yaml", "namePrefix: ${TITLE}-\nresources: [b.yaml]\n")
    shop.write("base/b.yaml", config_map("b"))
    sources = "{helm: chart, values: values.yaml}, {helm: ../common}, {kustomize: base}, {files: 'deploy/*.yaml'}"
    shop.write("loop.yaml", (shop.folder / "loop.yaml").read_text().replace("{files: 'deploy/*.yaml'}", sources))
    before = {file: file.read_bytes() for file in shop.folder.rglob("*") if file.is_file()}
    templates = (await shop.render()).templates
    assert {name: content.decode() for name, content in templates.items()} == {
        "_above/common/Chart.yaml": "apiVersion: v2\nname: common\nversion: 0.1.0\n",
        "base/b.yaml": config_map("b"),
        "base/kustomization.yaml": "namePrefix: Dogs-\nresources: [b.yaml]\n",
        "chart/Chart.yaml": "apiVersion: v2\nname: chart\nversion: 0.1.0\n",
        "chart/templates/x.yaml": "# {{ .Values.title }} ${TITLE}\n",
        "deploy/a.yaml": config_map("a").replace("${TITLE}", "Dogs"),
        "values.yaml": "title: Dogs\n",
    }
    assert {file: file.read_bytes() for file in shop.folder.rglob("*") if file.is_file()} == before


async def test_the_images_that_are_used_are_told(shop: Shop) -> None:
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: 'redis:7'}]}\n"
    shop.write("deploy/a.yaml", pod)
    assert (await shop.render()).provenance.images == {repository("redis"): "redis:7"}


async def test_an_unknown_environment_gets_a_suggestion(shop: Shop) -> None:
    with pytest.raises(LoopError, match="no environment 'prd'") as failure:
        shop.project("prd")
    assert failure.value.hint == "did you mean 'prod'?"


async def test_a_missing_file_of_variables_is_told_with_its_place(shop: Shop) -> None:
    (shop.folder / "env/dev.env").unlink()
    with pytest.raises(LoopError, match=r"^loop\.yaml:5:9: the environment's file env/dev\.env does not exist$"):
        shop.project()


async def test_an_environment_without_a_namespace_is_told_with_its_place(shop: Shop) -> None:
    shop.write("loop.yaml", "name: shop\nenvironments:\n  dev: {}\n")
    with pytest.raises(LoopError, match=r"^loop\.yaml:3:3: environment dev has no namespace$"):
        shop.project()
