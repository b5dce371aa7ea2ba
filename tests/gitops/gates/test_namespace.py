"""Objects that are not in the environment's namespace."""

from __future__ import annotations

from innerloop.gitops.gates import kubernetes, namespace
from innerloop.project import Dependency, Environment, FilesSource, HelmSource, Project
from tests.gitops.gates.rendered import manifests, project

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\n"
ROLE = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\n"


def found(text: str, of: Project | None = None, expected: str | None = "shop") -> list[tuple[str, str]]:
    environment = Environment(name="prod", namespace=expected)
    kinds = kubernetes.known(None).kinds
    return [(one.message, one.hint) for one in namespace.findings(manifests(text), kinds, of or project(), environment)]


def test_an_object_in_the_environments_namespace_passes() -> None:
    assert found(CONFIG_MAP) == []


def test_an_object_without_a_namespace_is_told() -> None:
    assert found(CONFIG_MAP.replace(", namespace: shop", "")) == [
        ("it has no namespace: where it goes is left to who applies it", "set environments.prod.namespace")
    ]


def test_an_object_in_another_namespace_is_told() -> None:
    ((message, _),) = found(CONFIG_MAP.replace("shop", "local-dev"))
    assert message == "it is in namespace local-dev, the environment's is shop"


def test_a_namespace_that_loop_yaml_names_for_a_source_is_on_purpose() -> None:
    source = HelmSource(chart="/shop/chart", release="shop", namespace="monitoring")
    assert found(CONFIG_MAP.replace("shop", "monitoring"), project(manifests=(source,))) == []


def test_a_namespace_that_loop_yaml_names_for_a_dependency_is_on_purpose() -> None:
    dependency = Dependency(name="db", source=FilesSource(pattern="/shop/db/*"), namespace="data")
    assert found(CONFIG_MAP.replace("shop", "data"), project(dependencies={"db": dependency})) == []


def test_without_a_namespace_of_the_environment_any_will_do() -> None:
    assert found(CONFIG_MAP, expected=None) == []


def test_without_a_namespace_of_the_environment_none_is_still_told() -> None:
    assert len(found(CONFIG_MAP.replace(", namespace: shop", ""), expected=None)) == 1


def test_a_cluster_scoped_object_passes() -> None:
    assert found(ROLE) == []


def test_a_namespace_of_a_cluster_scoped_object_is_told() -> None:
    ((message, _),) = found(ROLE.replace("name: a", "name: a, namespace: shop"))
    assert message == "ClusterRole is in no namespace, and this one names shop"
