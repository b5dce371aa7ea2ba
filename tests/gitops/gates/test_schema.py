"""Objects against the schemas of their kinds."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from innerloop.errors import LoopError
from innerloop.gitops.environments.scopes import cluster_wide_kinds
from innerloop.gitops.gates import custom, kubernetes, schema
from tests.gitops.gates.rendered import DEPLOYMENT, SOURCE, manifests


def found(text: str, version: str | None = None) -> list[tuple[str, str]]:
    """Message and hint of each finding."""
    objects = manifests(text)
    kinds = custom.from_objects(manifest.object for manifest in objects)
    return [(one.message, one.hint) for one in schema.findings(objects, kubernetes.known(version), kinds)]


def with_container(**fields: str) -> str:
    return DEPLOYMENT + "".join(f"          {name}: {value}\n" for name, value in fields.items())


def test_a_good_deployment_passes() -> None:
    assert found(DEPLOYMENT) == []


def test_the_finding_tells_object_and_template() -> None:
    objects = manifests(with_container(tty="1"))
    (one,) = schema.findings(objects, kubernetes.known(None), {})
    assert (one.gate, one.object, one.where) == ("schema", "Deployment/web", SOURCE)


def test_an_unknown_field_is_told_with_its_path_and_the_likely_one() -> None:
    assert found(with_container(imagePulPolicy="Always")) == [
        ("spec.template.spec.containers[0].imagePulPolicy: unknown field", "did you mean 'imagePullPolicy'?")
    ]


def test_fields_differ_in_case() -> None:
    message, hint = found(DEPLOYMENT.replace("selector:", "Selector:"))[0]
    assert (message, hint) == ("spec.Selector: unknown field", "did you mean 'selector'?")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("tty", "'yes'", "must be true or false, not text"),
        ("env", "{A: b}", "must be a list, not a mapping"),
        ("workingDir", "5", "must be text, not a number"),
        ("workingDir", "false", "must be text, not true or false"),
        ("securityContext", "{runAsUser: '0'}", "must be a whole number, not text"),
        ("securityContext", "{runAsUser: 1.5}", "must be a whole number, not a number"),
        ("securityContext", "{runAsUser: true}", "must be a whole number, not true or false"),
        ("resources", "[]", "must be a mapping, not a list"),
        ("resources", "{limits: {memory: 128 MB}}", "is no quantity"),
    ],
)
def test_a_value_of_the_wrong_type_is_told(field: str, value: str, message: str) -> None:
    ((told, _),) = found(with_container(**{field: value}))
    assert told.endswith(message)


@pytest.mark.parametrize(
    "fields",
    [
        {"resources": "{limits: {cpu: 1, memory: 128Mi}, requests: {cpu: 0.5, memory: 1e3}}"},
        {"securityContext": "{runAsUser: 1.0}"},
        {"livenessProbe": "{httpGet: {port: http}}"},
        {"livenessProbe": "{httpGet: {port: 80}}"},
        {"env": "null"},
        {"env": "[{name: A, value: null}]"},
    ],
)
def test_what_the_api_server_takes_for_a_value_passes(fields: dict[str, str]) -> None:
    assert found(with_container(**fields)) == []


def test_a_missing_field_is_told() -> None:
    assert [message for message, _ in found(DEPLOYMENT.replace("- name: web\n", "- tty: true\n"))] == [
        "spec.template.spec.containers[0].name: is missing"
    ]


def test_a_required_field_that_is_null_is_missing() -> None:
    assert found(DEPLOYMENT.replace("- name: web\n", "- name: null\n"))[0][0].endswith("name: is missing")


def test_all_problems_are_told_at_once() -> None:
    assert len(found(with_container(tty="1", stdin="2", ports="3"))) == 3


def test_a_status_needs_nothing() -> None:
    text = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: a}\nspec: {}\nstatus: {}\n"
    assert found(text) == []


def test_annotations_are_text() -> None:
    text = DEPLOYMENT.replace("namespace: shop}", "namespace: shop, annotations: {example.com/port: 80}}")
    assert found(text)[0][0] == 'metadata.annotations["example.com/port"]: must be text, not a number'


def test_data_that_is_no_base64_is_told_without_its_value() -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {password: 'pa$$word'}\n"
    assert found(text) == [("data.password: is no base64", "plain text belongs into stringData")]


def test_what_sops_encrypted_is_not_taken_for_a_wrong_value() -> None:
    text = """
        apiVersion: v1
        kind: Secret
        metadata: {name: a}
        data: {password: "ENC[AES256_GCM,data:abc,iv:d,tag:e,type:str]"}
        sops: {mac: "ENC[AES256_GCM,data:f,iv:g,tag:h,type:str]"}
    """
    assert found(text) == []


def test_the_objects_of_a_list_are_judged() -> None:
    item = textwrap.indent(DEPLOYMENT.strip(), "    ").replace("    apiVersion", "  - apiVersion", 1)
    text = f"apiVersion: v1\nkind: List\nmetadata: {{name: all}}\nitems:\n{item}\n".replace("selector:", "selektor:")
    assert [message for message, _ in found(text)] == ["spec.selektor: unknown field", "spec.selector: is missing"]


@pytest.mark.parametrize(
    ("api", "kind", "version", "message", "hint"),
    [
        ("apps/v1", "Deploymnet", None, "there is no apps/v1 Deploymnet", "did you mean 'Deployment'?"),
        ("v1", "Deployment", None, "there is no v1 Deployment", "Deployment is in apps/v1"),
        (
            "extensions/v1beta1",
            "Ingress",
            None,
            "extensions/v1beta1 Ingress is gone since Kubernetes 1.22",
            "use networking.k8s.io/v1 Ingress",
        ),
        (
            "policy/v1beta1",
            "PodSecurityPolicy",
            None,
            "policy/v1beta1 PodSecurityPolicy is gone since Kubernetes 1.25",
            "nothing takes its place: take it out",
        ),
        (
            "resource.k8s.io/v1",
            "ResourceClaim",
            "1.32",
            "Kubernetes 1.32 does not have resource.k8s.io/v1 ResourceClaim (only since 1.34)",
            "it has ResourceClaim in resource.k8s.io/v1alpha3, resource.k8s.io/v1beta1",
        ),
        (
            "flowcontrol.apiserver.k8s.io/v1beta3",
            "FlowSchema",
            "1.32",
            "flowcontrol.apiserver.k8s.io/v1beta3 FlowSchema is gone since Kubernetes 1.32",
            "use flowcontrol.apiserver.k8s.io/v1 FlowSchema",
        ),
        (
            "flowcontrol.apiserver.k8s.io/v1beta1",
            "FlowSchema",
            "1.36",
            "flowcontrol.apiserver.k8s.io/v1beta1 FlowSchema is gone since Kubernetes 1.26",
            "use flowcontrol.apiserver.k8s.io/v1 FlowSchema",
        ),
        (
            "networking.k8s.io/v1beta1",
            "IngressClass",
            None,
            "networking.k8s.io/v1beta1 IngressClass is gone since Kubernetes 1.22",
            "use networking.k8s.io/v1",
        ),
        (
            "cert-manager.io/v1",
            "Certificate",
            None,
            "no schema of cert-manager.io/v1 Certificate is known",
            "name the file of its CustomResourceDefinition in gitops.schemas, or allow it",
        ),
    ],
)
def test_an_unknown_kind_is_told_with_what_to_use(
    api: str, kind: str, version: str | None, message: str, hint: str
) -> None:
    assert found(f"apiVersion: {api}\nkind: {kind}\nmetadata: {{name: a}}\n", version) == [(message, hint)]


def test_a_field_is_known_from_the_version_that_brought_it() -> None:
    text = DEPLOYMENT.replace("    spec:\n", "    spec:\n      resources: {limits: {cpu: 1}}\n")
    assert (len(found(text, "1.30")), len(found(text, "1.34"))) == (1, 0)


@pytest.mark.parametrize("version", ["1.36", "v1.36", "1.36.3", "v1.36.3-eks-1234", "1.36.0+k3s1"])
def test_a_version_is_known_however_it_is_written(version: str) -> None:
    assert kubernetes.known(version).minor == 36


@pytest.mark.parametrize("version", ["1.12", "1.99", "latest", "36"])
def test_an_unknown_version_is_an_error_that_tells_the_known_ones(version: str) -> None:
    with pytest.raises(LoopError, match="no schemas of Kubernetes") as raised:
        kubernetes.known(version)
    assert "1.36" in str(raised.value.hint) or "1.37" in str(raised.value.hint)


def test_a_deprecated_version_is_told_with_what_to_use() -> None:
    api = "flowcontrol.apiserver.k8s.io/v1beta3"
    objects = manifests(f"apiVersion: {api}\nkind: FlowSchema\nmetadata: {{name: a}}\n")
    (line,) = schema.deprecations(objects, kubernetes.known("1.31"))
    assert line == (
        f"{SOURCE}: FlowSchema/a: {api} is deprecated since 1.29, gone in 1.32: "
        "use flowcontrol.apiserver.k8s.io/v1 FlowSchema"
    )


def test_the_kinds_that_get_no_namespace_are_those_that_have_none_in_any_version() -> None:
    known = [pair for minor in range(29, 38) for pair in kubernetes.known(f"1.{minor}").kinds.items()]
    cluster_wide = {(api.rpartition("/")[0], kind) for (api, kind), one in known if not one.namespaced}
    # can only be read
    assert cluster_wide_kinds() == cluster_wide | {("", "ComponentStatus")}


def test_every_reference_of_the_data_has_its_type() -> None:
    for minor in range(29, 38):
        version = kubernetes.known(f"1.{minor}")
        missing = set(_references([*version.definitions.values(), *(kind.schema for kind in version.kinds.values())]))
        assert missing <= version.definitions.keys()


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for item in node for name in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [name for value in node.values() for name in _references(value)]
