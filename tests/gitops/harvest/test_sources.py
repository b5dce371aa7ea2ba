"""Where a change is made, by what decides the field: variables, values, kustomizations, charts."""

from __future__ import annotations

import pytest

from tests.gitops.harvest.conftest import WEB, Deployed, container

TEMPLATE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: {{ .Values.replicaCount }}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: {{ add 1 .Values.grace }}
      containers:
        - name: web
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
          command: [sleep, "1000"]
          imagePullPolicy: IfNotPresent
          env:
            - name: TITLE
              value: {{ .Values.title | quote }}
            {{- range $name, $value := .Values.extraEnv }}
            - name: {{ $name }}
              value: {{ $value | quote }}
            {{- end }}
          resources: {{- toYaml .Values.resources | nindent 12 }}
"""
API = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: api
          image: busybox:1.36
          command: [sleep, "1000"]
          env:
            - {name: A, value: b}
          resources:
            limits: {memory: 64Mi}
"""
DEFAULTS = """\
replicaCount: 1
grace: 0
image:
  repository: busybox
  tag: "1.35"
title: Cats
extraEnv: {}
resources: {}
"""
VALUES = """\
# ours
image:
  tag: "${TAG}"   # see .env
title: '${WHO} or dogs'
"""
OTHER = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
data: {tag: "{{ .Values.image.tag }}"}
"""
PROJECT = """\
name: shop
variables:
  TAG: latest
  WHO: Cats
manifests:
  - helm: chart
    values: values.yaml
"""


@pytest.fixture
async def chart(shop: Deployed) -> Deployed:
    """The same, by a chart."""
    shop.write("loop.yaml", PROJECT)
    shop.write("values.yaml", VALUES)
    shop.write(".env", "# mine\nTAG='1.36' # tested\n")
    shop.write("chart/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 0.1.0\n")
    shop.write("chart/values.yaml", DEFAULTS)
    shop.write("chart/templates/web.yaml", TEMPLATE)
    shop.write("chart/templates/api.yaml", API)
    await shop.deploy()
    return shop


PLACES = {
    "a variable in .env": (("set", "image", "deployment/web", "web=busybox:1.37"), ".env", "'1.36'", "'1.37'"),
    "a variable's default": (
        ("set", "env", "deployment/web", "TITLE=Mice or dogs"),
        "loop.yaml",
        "WHO: Cats",
        "WHO: Mice",
    ),
    "text beside a variable": (
        ("set", "env", "deployment/web", "TITLE=Cats or birds"),
        "values.yaml",
        "} or dogs'",
        "} or birds'",
    ),
    "a default of the chart": (
        ("scale", "deployment/web", "--replicas=2"),
        "chart/values.yaml",
        "Count: 1",
        "Count: 2",
    ),
    "an empty mapping": (
        ("set", "resources", "deployment/web", "--limits=memory=64Mi", "--requests=cpu=10m"),
        "chart/values.yaml",
        "resources: {}",
        "resources:\n  limits:\n    memory: 64Mi\n  requests:\n    cpu: 10m",
    ),
    "variables as a mapping": (
        ("set", "env", "deployment/web", "COLOUR=red"),
        "chart/values.yaml",
        "extraEnv: {}",
        "extraEnv: {COLOUR: red}",
    ),
    "the lines of a list in the template": (
        ("set", "env", "deployment/api", "COLOUR=red"),
        "chart/templates/api.yaml",
        "{name: A, value: b}\n",
        "{name: A, value: b}\n            - name: COLOUR\n              value: red\n",
    ),
    "a mapping on one line of the template": (
        ("set", "resources", "deployment/api", "--limits=cpu=1"),
        "chart/templates/api.yaml",
        "{memory: 64Mi}",
        '{memory: 64Mi, cpu: "1"}',
    ),
    "a literal of the template": (
        container(imagePullPolicy="Always"),
        "chart/templates/web.yaml",
        "IfNotPresent",
        "Always",
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
async def test_a_chart_is_changed_at(chart: Deployed, place: str) -> None:
    command, file, old, new = PLACES[place]
    before = chart.read(file)
    await chart.kubectl(*command)
    await chart.apply_patch(await chart.harvest())
    assert chart.read(file) == before.replace(old, new)
    await chart.assert_renders_what_is_live()


async def test_repository_and_tag_of_an_image_are_changed_together(chart: Deployed) -> None:
    await chart.kubectl("set", "image", "deployment/web", "web=alpine:3")
    await chart.apply_patch(await chart.harvest())
    assert "repository: alpine" in chart.read("chart/values.yaml") and "TAG='3'" in chart.read(".env")
    await chart.assert_renders_what_is_live()


async def test_what_is_beside_a_variable_stays(chart: Deployed) -> None:
    chart.write("chart/templates/other.yaml", OTHER)
    await chart.deploy()
    await chart.kubectl("set", "image", "deployment/web", "web=busybox:1.36.1")
    told = await chart.only()
    assert (told.edits, "decides ConfigMap/other data.tag too" in told.reason) == ((), True)


async def test_what_the_template_computes_is_told(chart: Deployed) -> None:
    await chart.kubectl(
        "patch", "deployment/web", "-p", '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":9}}}}'
    )
    told = await chart.only()
    assert (told.edits, told.reason.partition(" computes it")[0]) == ((), "chart/templates/web.yaml")


async def test_a_variable_of_the_process_is_told(chart: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAG", "1.36")
    await chart.kubectl("set", "image", "deployment/web", "web=busybox:1.37")
    told = await chart.only()
    assert told.reason == "it comes from the variable TAG, which the environment of this process decides"


async def test_a_value_that_decides_more_than_was_changed_is_told(shop: Deployed) -> None:
    shop.write("loop.yaml", "name: shop\nvariables: {TITLE: Cats}\nmanifests: [{files: deploy/*.yaml}]\n")
    shop.write("deploy/web.yaml", WEB.replace("Cats", "${TITLE}"))
    shop.write("deploy/api.yaml", WEB.replace("Cats", "${TITLE}").replace("web", "api"))
    await shop.deploy()
    await shop.kubectl("set", "env", "deployment/web", "TITLE=Dogs")
    told = await shop.only()
    expected = (
        "loop.yaml:2 variables.TITLE decides Deployment/api spec.template.spec.containers[api].env[TITLE].value too"
    )
    assert told.reason.removeprefix(f"{shop.folder}/").startswith(expected)


async def test_a_value_that_decides_all_that_was_changed_is_changed_once(shop: Deployed) -> None:
    shop.write("loop.yaml", "name: shop\nvariables: {TITLE: Cats}\nmanifests: [{files: deploy/*.yaml}]\n")
    shop.write("deploy/web.yaml", WEB.replace("Cats", "${TITLE}"))
    shop.write("deploy/api.yaml", WEB.replace("Cats", "${TITLE}").replace("web", "api"))
    await shop.deploy()
    await shop.kubectl("set", "env", "deployment/web", "deployment/api", "TITLE=Dogs")
    await shop.apply_patch(await shop.harvest())
    assert "TITLE: Dogs" in shop.read("loop.yaml")
    await shop.assert_renders_what_is_live()


KUSTOMIZATION = """\
resources: [web.yaml]
images:
  - name: busybox
    newTag: "1.36"   # tested
replicas:
  - {name: web, count: 1}
patches:
  - patch: |-
      - op: replace
        path: /spec/template/spec/containers/0/env/0/value
        value: Dogs
    target: {kind: Deployment}
"""

KUSTOMIZED = {
    "images": (("set", "image", "deployment/web", "web=busybox:1.37"), "kustomization.yaml", '"1.36"', '"1.37"'),
    "replicas": (("scale", "deployment/web", "--replicas=2"), "kustomization.yaml", "count: 1", "count: 2"),
    "patches": (("set", "env", "deployment/web", "TITLE=Mice"), "kustomization.yaml", "value: Dogs", "value: Mice"),
    "resources": (
        ("set", "env", "deployment/web", "NEW=1"),
        "web.yaml",
        "on top\n",
        'on top\n            - name: NEW\n              value: "1"\n',
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", KUSTOMIZED)
async def test_a_kustomization_is_changed_at_its(shop: Deployed, place: str) -> None:
    command, file, old, new = KUSTOMIZED[place]
    shop.write("loop.yaml", "name: shop\nmanifests: [{kustomize: base}]\n")
    shop.write("base/kustomization.yaml", KUSTOMIZATION)
    shop.write("base/web.yaml", WEB)
    before = shop.read(f"base/{file}")
    await shop.deploy()
    await shop.kubectl(*command)
    await shop.apply_patch(await shop.harvest())
    assert shop.read(f"base/{file}") == before.replace(old, new)
    await shop.assert_renders_what_is_live()


async def test_what_a_chart_makes_up_at_each_rendering_is_in_nobodys_way(chart: Deployed) -> None:
    made_up = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: key}\ndata: {key: '{{ randAlphaNum 9 }}'}\n"
    chart.write("chart/templates/key.yaml", made_up)
    await chart.deploy()
    await chart.kubectl("scale", "deployment/web", "--replicas=2")
    await chart.apply_patch(await chart.harvest())
    assert "replicaCount: 2" in chart.read("chart/values.yaml")


async def test_what_a_plugin_changes_is_known(shop: Deployed) -> None:
    shop.write("loop.yaml", "name: shop\nmanifests: [{files: deploy/*.yaml}]\nplugins: plugin.py\n")
    shop.write("plugin.py", PLUGIN)
    await shop.deploy()
    await shop.kubectl("scale", "deployment/web", "--replicas=2")
    told = await shop.only()
    assert (told.edits, "none of the" in told.reason) == ((), True)


PLUGIN = """\
from innerloop import hook

@hook("after-render")
def one(manifests, project):
    for manifest in manifests:
        manifest.object["spec"]["replicas"] = 1
    return manifests
"""


async def test_a_file_outside_the_project_is_not_edited(shop: Deployed) -> None:
    shop.folder = shop.folder / "inside"
    shop.write("loop.yaml", "name: shop\nmanifests: [{files: ../deploy/*.yaml}]\n")
    await shop.deploy()
    await shop.kubectl("scale", "deployment/web", "--replicas=2")
    found = await shop.harvest()
    assert (found.patch, found.attributed[0].edits) == ("", ())
