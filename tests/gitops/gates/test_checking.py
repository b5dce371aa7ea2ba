"""All gates together, and what they are told to let through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from innerloop.errors import Location
from innerloop.events import Event, Notice
from innerloop.gitops.gates.checking import check
from innerloop.gitops.gates.exemptions import exempt
from innerloop.gitops.gates.findings import Finding
from innerloop.project import Exemption, Gate, Project
from tests.gitops.gates.rendered import DEPLOYMENT, PINNED, checked, manifests, project, rendered, replaced, told

FAULTY = f"""
apiVersion: v1
kind: Secret
metadata: {{name: db, namespace: shop}}
stringData: {{password: hunter2}}
---
{DEPLOYMENT.replace(PINNED, "localhost:5001/web:v1").replace("namespace: shop", "namespace: dev")}
          tty: 1
"""
ALL: list[tuple[Gate, str]] = [
    ("local-value", "Deployment/web"),
    ("mutable-tag", "Deployment/web"),
    ("namespace", "Deployment/web"),
    ("plain-secret", "Secret/db"),
    ("schema", "Deployment/web"),
]


def allowing(*exemptions: tuple[Gate, str, str], **gitops: Any) -> Project:
    allow = tuple(Exemption(gate=gate, object=glob, reason=reason) for gate, glob, reason in exemptions)
    return project({"allow": allow, **gitops})


def warnings(text: str, of: Project) -> list[str]:
    events: list[Event] = []
    checked(text, of, events.append)
    return [event.message for event in events if isinstance(event, Notice) and event.level == "warning"]


def test_good_manifests_pass() -> None:
    assert checked(DEPLOYMENT) == []


def test_every_gate_tells_at_once_and_in_order() -> None:
    assert told(checked(FAULTY)) == ALL


def test_without_a_gitops_section_every_gate_is_on() -> None:
    assert told(checked(FAULTY, replaced(project(), gitops=None))) == ALL


def test_the_same_manifests_are_told_in_the_same_words_in_any_order() -> None:
    first, second = FAULTY.split("---")
    assert checked(FAULTY) == checked(f"{second}---{first}")


@pytest.mark.parametrize(("gate", "name"), ALL)
def test_each_gate_has_a_way_out(gate: Gate, name: str) -> None:
    found = checked(FAULTY, allowing((gate, name, "because")))
    assert [(one.gate, one.allowed) for one in found if one.allowed] == [(gate, "because")]


def test_what_is_allowed_is_told_last() -> None:
    assert checked(FAULTY, allowing(("local-value", "*", "because")))[-1].gate == "local-value"


def test_an_exemption_holds_for_its_gate_only() -> None:
    assert told(checked(FAULTY, allowing(("namespace", "Secret/*", "because")))) == ALL


def test_a_policy_has_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "a.rego").write_text('package main\n\ndeny contains "no" if input.kind\n')
    (one,) = checked(DEPLOYMENT, allowing(("policy", "Deployment/*", "because"), policies=tmp_path))
    assert (one.gate, one.message, one.allowed) == ("policy", "no", "because")


def test_the_first_exemption_that_fits_gives_the_reason() -> None:
    found = checked(FAULTY, allowing(("schema", "*/web", "first"), ("schema", "*", "second")))
    assert [one.allowed for one in found if one.gate == "schema"] == ["first"]


def test_an_exemption_that_fits_nothing_is_told_with_its_place() -> None:
    of = replaced(
        allowing(("schema", "Deployment/old", "because")), locations={"gitops.allow.0": Location("loop.yaml", 12, 7)}
    )
    assert warnings(FAULTY, of) == ["loop.yaml:12:7: nothing to let through: schema finds no fault with Deployment/old"]


def test_an_exemption_that_fits_is_not_told() -> None:
    assert warnings(FAULTY, allowing(("schema", "Deployment/web", "because"), ("schema", "*", "as well"))) == []


def test_an_exemption_of_what_the_renderer_reports_is_not_told() -> None:
    assert warnings(DEPLOYMENT, allowing(("random", "Secret/*", "because"))) == []


async def test_findings_of_others_go_through_the_same_exemptions() -> None:
    other = Finding("random", "Secret/db", "it differs from render to render", "a.yaml", "")
    of = allowing(("random", "Secret/*", "because"))
    found = await check(rendered(manifests(DEPLOYMENT)), of, emit=lambda _: None, others=[other])
    assert found == [other._replace(allowed="because")]


def test_a_deprecated_version_is_a_warning() -> None:
    api = "flowcontrol.apiserver.k8s.io/v1beta3"
    (message,) = warnings(
        f"apiVersion: {api}\nkind: FlowSchema\nmetadata: {{name: a}}\n", project({"kubernetes": "1.31"})
    )
    assert "is deprecated since 1.29" in message


def test_a_warning_of_a_policy_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.rego").write_text('package main\n\nwarn contains "hm" if input.kind\n')
    assert len(warnings(DEPLOYMENT, project({"policies": tmp_path}))) == 1


@pytest.mark.parametrize(
    ("glob", "fits"),
    [
        ("Deployment/web", True),
        ("Deployment/*", True),
        ("*", True),
        ("*/web", True),
        ("deployment/web", False),
        ("web", False),
    ],
)
def test_an_exemption_is_a_glob_for_kind_and_name(glob: str, fits: bool) -> None:
    finding = Finding("schema", "Deployment/web", "", "", "")
    seen = exempt([finding], [Exemption(gate="schema", object=glob, reason="because")])
    assert (bool(seen.findings[0].allowed), seen.stale) == (fits, [] if fits else [0])
