from __future__ import annotations

from innerloop.deploy.ordering import Phase, phase


def test_kinds_come_in_the_order_of_their_needs() -> None:
    kinds = [
        ("", "Namespace"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("rbac.authorization.k8s.io", "Role"),
        ("rbac.authorization.k8s.io", "RoleBinding"),
        ("apps", "Deployment"),
        ("example.com", "Widget"),
        ("networking.k8s.io", "Ingress"),
    ]
    assert [phase(group, kind) for group, kind in kinds] == list(Phase)


def test_custom_kind_with_a_known_name_is_not_confused() -> None:
    assert phase("serving.knative.dev", "Service") == Phase.OTHERS
