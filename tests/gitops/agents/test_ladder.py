"""The least that is asked of agents, and of whom first."""

from __future__ import annotations

import pytest

from innerloop.gitops.agents.asks import SKIP, LeaveFields, LeaveObject, LeavePlaces, Pause, asked
from innerloop.gitops.agents.ladder import Owned, reverts, steps
from innerloop.gitops.agents.ownership import key_of
from tests.gitops.agents import marked
from tests.gitops.agents.marked import Object

WEB = marked.tracked("vote:apps/Deployment:vote/web")


def asks_of(*owned: Owned) -> list[tuple[str, object]]:
    """Name of each object that is asked, with what."""
    return [(step.asked.name, step.ask) for step in steps(owned, "innerloop")]


def below(object: Object, *owners: Object | Owned) -> Owned:
    return Owned(object, tuple(one if isinstance(one, Owned) else Owned(one) for one in owners))


def test_nothing_is_asked_for_what_no_agent_applies() -> None:
    assert asks_of(below(marked.deployment())) == []


def test_a_self_healing_application_leaves_our_fields_of_one_object() -> None:
    assert asks_of(below(WEB, marked.application())) == [("vote", LeaveFields(key_of(WEB), "innerloop"))]


@pytest.mark.parametrize("policy", [{}, {"automated": None}, {"automated": {"enabled": False, "selfHeal": True}}])
def test_nothing_is_asked_of_an_application_that_is_synced_by_hand(policy: Object) -> None:
    assert asks_of(below(WEB, marked.application(policy=policy))) == []


def test_an_application_that_writes_objects_anew_is_paused() -> None:
    found = marked.application(policy={**marked.HEALING, "syncOptions": ["Replace=true"]})
    assert asks_of(below(WEB, found)) == [("vote", Pause(key_of(WEB)))]


def test_a_parent_is_asked_before_its_child_to_leave_what_changes_there() -> None:
    parent = marked.application("root")
    asks = asks_of(below(WEB, below(marked.application(), parent)))
    assert [name for name, _ in asks] == ["root", "vote"]
    assert isinstance(asks[0][1], LeavePlaces)
    assert set(asks[0][1].pointers) == {"/spec/ignoreDifferences", "/spec/syncPolicy"}


def test_an_application_set_is_asked_to_leave_our_record_too() -> None:
    (_, ask), _ = asks_of(below(WEB, below(marked.application(), marked.application_set())))
    assert isinstance(ask, LeavePlaces)
    assert "/metadata/annotations/innerloop.dev~1truce" in ask.pointers


@pytest.mark.parametrize("mode", ["create-only", "create-delete"])
def test_an_application_set_that_updates_nothing_is_not_asked(mode: str) -> None:
    found = marked.application_set(syncPolicy={"applicationsSync": mode})
    assert [name for name, _ in asks_of(below(WEB, below(marked.application(), found)))] == ["vote"]


def test_of_flux_one_object_is_taken_and_nothing_else() -> None:
    web = marked.deployment(labels=marked.fluxed("kustomize", "apps"))
    assert asks_of(below(web, below(marked.kustomization(), marked.kustomization("root")))) == [("web", LeaveObject())]


def test_a_release_is_suspended_after_the_kustomization_above_leaves_it() -> None:
    release = below(marked.helm_release(), marked.kustomization())
    web = marked.deployment(labels=marked.fluxed("helm", "vote"))
    assert asks_of(below(web, release)) == [("vote", LeaveObject()), ("vote", Pause(key_of(web)))]


@pytest.mark.parametrize("applier", [marked.kustomization(suspend=True), marked.helm_release(suspend=True)])
def test_nothing_is_asked_of_what_is_suspended(applier: Object) -> None:
    assert asks_of(below(marked.deployment(), applier)) == []


def test_one_parent_is_asked_once_for_several_objects() -> None:
    parent = below(marked.application(), marked.application("root"))
    other = marked.tracked("vote:apps/Deployment:vote/worker", name="worker")
    names = [name for name, _ in asks_of(Owned(WEB, (parent,)), Owned(other, (parent,)))]
    assert names == ["root", "vote", "vote"]


@pytest.mark.parametrize(
    ("applier", "when"),
    [
        (marked.application(), "within seconds"),
        (marked.application(policy={"automated": {}}), "with the next commit"),
        (marked.application(annotations={"argocd.argoproj.io/skip-reconcile": "true"}), ""),
        (marked.kustomization(), "every 5m, and with each commit"),
        (marked.helm_release(), "with the next upgrade of the release"),
        (marked.helm_release(driftDetection={"mode": "enabled"}), "every 5m"),
        (marked.deployment(), ""),
    ],
)
def test_when_changes_are_undone_is_told(applier: Object, when: str) -> None:
    assert reverts(applier) == when


def test_an_application_that_is_asked_prunes_nothing_and_respects_what_it_ignores() -> None:
    found = asked(marked.application(), [LeaveFields(key_of(WEB), "innerloop")])["spec"]
    assert found["syncPolicy"] == {
        "automated": {"selfHeal": True},
        "syncOptions": ["RespectIgnoreDifferences=true"],
    }
    assert found["ignoreDifferences"] == [
        {
            "group": "apps",
            "kind": "Deployment",
            "namespace": "vote",
            "name": "web",
            "managedFieldsManagers": ["innerloop"],
        }
    ]


def test_a_paused_application_has_no_automation() -> None:
    policy = {**marked.HEALING, "syncOptions": ["Replace=true"]}
    assert asked(marked.application(policy=policy), [Pause()])["spec"]["syncPolicy"] == {
        "syncOptions": ["Replace=true"]
    }


def test_a_policy_of_which_nothing_is_left_is_no_policy() -> None:
    assert "syncPolicy" not in asked(marked.application(), [Pause()])["spec"]


def test_an_object_that_flux_leaves_alone_says_so() -> None:
    found = asked(marked.deployment(annotations={"team": "shop"}), [LeaveObject()])
    assert found["metadata"]["annotations"] == {"team": "shop", SKIP: "disabled"}
