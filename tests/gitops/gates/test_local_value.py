"""What only the laptop has, in an environment."""

from __future__ import annotations

from typing import Any

import pytest

from innerloop.dev.overlay import overlay
from innerloop.errors import Location
from innerloop.gitops.gates import local_value
from innerloop.project import DevTarget, Origin, Project, Variable
from tests.gitops.gates.rendered import DEPLOYMENT, PINNED, manifests, project


def found(text: str, of: Project | None = None) -> list[tuple[str, str]]:
    return [(one.object, one.message) for one in local_value.findings(manifests(text), of or project())]


def with_variable(value: str, origin: Origin, *overridden: tuple[Origin, str]) -> Project:
    return project(variables={"TITLE": Variable(name="TITLE", value=value, origin=origin, overridden=overridden)})


def test_a_rendered_deployment_passes() -> None:
    assert found(DEPLOYMENT) == []


def test_every_object_that_the_dev_overlay_makes_or_changes_is_told() -> None:
    target = DevTarget(name="web", selector={"app": "web"}, command=("web", "--debug"), restart=("*.py",))
    changed = overlay(manifests(DEPLOYMENT), [target], {}, project="shop")
    told = [one.object.partition("/")[0] for one in local_value.findings(changed, project())]
    assert told == ["ConfigMap", "Deployment"]


@pytest.mark.parametrize(
    "change",
    [
        ("metadata: {labels", "metadata: {annotations: {innerloop.dev/target: web=web}, labels"),
        ("      containers:", "      volumes: [{name: innerloop-helper, configMap: {name: a}}]\n      containers:"),
        ("- name: web\n", "- name: web\n          command: [/.innerloop/loop-helper, run, --, web]\n"),
    ],
)
def test_each_mark_of_the_overlay_is_enough(change: tuple[str, str]) -> None:
    ((name, message),) = found(DEPLOYMENT.replace(*change))
    assert name == "Deployment/web" and message.startswith("it is changed for development: ")


@pytest.mark.parametrize(
    "host",
    [
        "localhost:5001",
        "localhost",
        "127.0.0.1:5000",
        "[::1]:5000",
        "k3d-registry.localhost:5000",
        "kind-registry:5000",
        "host.docker.internal:5000",
        "host.minikube.internal:5000",
        "10.129.0.2:5000",
    ],
)
def test_an_image_of_a_local_registry_is_told(host: str) -> None:
    image = f"{host}/web@sha256:{'a' * 64}"
    assert found(DEPLOYMENT.replace(PINNED, f"'{image}'")) == [
        ("Deployment/web", f"image {image} is in a registry that only this machine reaches")
    ]


@pytest.mark.parametrize(
    "host", ["registry.example.com", "registry.corp.local", "10.1.2.3:5000", "10.129.0.2:443", "docker.io", "[fd00::2]"]
)
def test_an_image_of_a_registry_of_many_passes(host: str) -> None:
    assert found(DEPLOYMENT.replace(PINNED, f"'{host}/web@sha256:{'a' * 64}'")) == []


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        (Origin(kind="set"), "--set"),
        (Origin(kind="process"), "an environment variable of the process"),
        (Origin(kind="file", where=Location("shop/.env", 3)), ".env"),
    ],
)
def test_a_variable_of_the_laptop_is_told_without_its_value(origin: Origin, source: str) -> None:
    ((name, message),) = found("", with_variable("hush", origin))
    assert name == "Variable/TITLE"
    assert message == f"the value of ${{TITLE}} comes from {source}, which no other machine has"


@pytest.mark.parametrize(
    "origin", [Origin(kind="default"), Origin(kind="file", where=Location("env/prod.env", 1)), Origin(kind="built-in")]
)
def test_a_variable_of_the_environment_passes(origin: Origin) -> None:
    assert found("", with_variable("Shop", origin)) == []


def test_a_variable_that_is_set_to_what_the_environment_says_passes() -> None:
    weaker = Origin(kind="file", where=Location("env/prod.env", 1))
    assert found("", with_variable("Shop", Origin(kind="process"), (weaker, "Shop"))) == []


def test_a_variable_is_told_with_its_place() -> None:
    origin: dict[str, Any] = {"kind": "file", "where": Location("shop/.env", 3, 1)}
    (one,) = local_value.findings([], with_variable("hush", Origin(**origin)))
    assert one.where == "shop/.env:3:1"
