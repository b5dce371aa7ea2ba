"""Who applies an object, by what is written on it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innerloop.gitops.agents.ownership import (
    APPLICATION,
    APPLICATION_SET,
    HELM_RELEASE,
    KUSTOMIZATION,
    Claim,
    Target,
    claims,
    confirms,
    entry_target,
    target_of,
    tracking,
)
from tests.gitops.agents import marked
from tests.gitops.agents.marked import Object

WEB = Target("apps", "Deployment", "vote", "web")
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
KINDS = st.from_regex(r"[A-Z][A-Za-z]{0,8}", fullmatch=True)


def told(object: Object) -> tuple[Claim, ...]:
    return claims(target_of(object), object["metadata"])


def test_a_tracking_id_names_the_application() -> None:
    assert told(marked.tracked("vote:apps/Deployment:vote/web")) == (Claim(APPLICATION, "", "vote", sure=True),)


def test_a_tracking_id_names_the_namespace_of_an_application_outside_argo_cds_own() -> None:
    found = told(marked.tracked("team_vote:apps/Deployment:vote/web"))
    assert found == (Claim(APPLICATION, "team", "vote", sure=True),)


def test_a_tracking_id_that_was_copied_from_another_object_does_not_count() -> None:
    assert told(marked.tracked("vote:apps/Deployment:vote/web", name="web-copy")) == ()


@given(NAMES, NAMES, NAMES, st.sampled_from(["", "apps", "networking.k8s.io"]), KINDS)
def test_every_tracking_id_is_read(app: str, namespace: str, name: str, group: str, kind: str) -> None:
    assert tracking(f"{app}:{group}/{kind}:{namespace}/{name}") == ("", app, Target(group, kind, namespace, name))


@given(st.text())
def test_no_text_makes_reading_a_tracking_id_or_an_entry_fail(text: str) -> None:
    tracking(text)
    entry_target(text)


def test_an_instance_label_of_an_object_that_argo_cd_wrote_is_to_be_confirmed() -> None:
    found = marked.deployment(
        labels={"app.kubernetes.io/instance": "vote"}, managedFields=[{"manager": "argocd-controller"}]
    )
    assert told(found) == (Claim(APPLICATION, "", "vote", sure=False),)


def test_an_instance_label_alone_tells_nothing() -> None:
    assert told(marked.deployment(labels={"app.kubernetes.io/instance": "vote"})) == ()


@pytest.mark.parametrize(("group", "kind"), [("kustomize", KUSTOMIZATION), ("helm", HELM_RELEASE)])
def test_labels_of_flux_name_its_applier(group: str, kind: object) -> None:
    (found,) = told(marked.deployment(labels=marked.fluxed(group, "vote")))
    assert (found.kind, found.namespace, found.name) == (kind, "flux-system", "vote")


def test_a_generated_application_names_its_application_set() -> None:
    owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "votes", "controller": True}
    found = told(marked.application(ownerReferences=[owner]))
    assert found == (Claim(APPLICATION_SET, "argocd", "votes", sure=True),)


def test_an_application_confirms_what_it_lists() -> None:
    resources = [{"group": "apps", "kind": "Deployment", "namespace": "vote", "name": "web"}]
    found = {**marked.application(), "status": {"resources": resources}}
    assert confirms(found, WEB)
    assert not confirms(found, WEB._replace(name="other"))


def test_a_kustomization_confirms_what_is_in_its_inventory() -> None:
    entries = [{"id": "vote_web_apps_Deployment", "v": "v1"}]
    found = {**marked.kustomization(), "status": {"inventory": {"entries": entries}}}
    assert confirms(found, WEB)
    assert not confirms(found, WEB._replace(name="web-copy"))


@given(NAMES, NAMES, st.sampled_from(["", "apps", "networking.k8s.io"]), KINDS)
def test_every_entry_of_an_inventory_is_read(namespace: str, name: str, group: str, kind: str) -> None:
    assert entry_target(f"{namespace}_{name}_{group}_{kind}") == Target(group, kind, namespace, name)


def test_an_entry_about_a_role_with_colons_is_read() -> None:
    group = "rbac.authorization.k8s.io"
    assert entry_target(f"_system__view_{group}_ClusterRole") == Target(group, "ClusterRole", "", "system:view")
