"""The project's own rules in Rego."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from innerloop.errors import Location, LoopError
from innerloop.gitops.gates import policy
from innerloop.gitops.gates.policy import Judged
from tests.gitops.gates.rendered import DEPLOYMENT, SOURCE, manifests

WHERE = Location("loop.yaml", 7, 3)
ROOT = """package main

deny contains msg if {
  input.kind == "Deployment"
  not input.spec.template.spec.securityContext.runAsNonRoot
  msg := sprintf("%s may run as root", [input.metadata.name])
}
"""
OLD_ROOT = ROOT.replace("deny contains msg if {", "deny[msg] {")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy").mkdir()
    return tmp_path / "policy"


def judged(folder: Path, text: str = DEPLOYMENT, **files: str) -> Judged:
    for name, content in files.items():
        (folder / f"{name}.rego").write_text(content)
    return policy.judge(manifests(text), folder, WHERE)


def denied(folder: Path, *files: str) -> list[str]:
    named = {f"file{number}": content for number, content in enumerate(files)}
    return [one.message for one in judged(folder, **named).findings]


def rule(head: str) -> str:
    return f"package main\n\n{head}\n"


@pytest.mark.parametrize("text", [ROOT, OLD_ROOT], ids=["Rego 1", "Rego 0"])
def test_a_rule_that_denies_is_told(folder: Path, text: str) -> None:
    assert denied(folder, text) == ["web may run as root"]


@pytest.mark.parametrize("text", [ROOT, OLD_ROOT], ids=["Rego 1", "Rego 0"])
def test_an_object_that_no_rule_denies_passes(folder: Path, text: str) -> None:
    (folder / "root.rego").write_text(text)
    good = DEPLOYMENT.replace("    spec:\n", "    spec:\n      securityContext: {runAsNonRoot: true}\n")
    assert policy.judge(manifests(good), folder, WHERE) == Judged([], [])


def test_both_grammars_go_together(folder: Path) -> None:
    assert denied(folder, ROOT, OLD_ROOT.replace("may run", "might run")) == [
        "web may run as root",
        "web might run as root",
    ]


def test_the_finding_names_object_template_and_rule(folder: Path) -> None:
    (one,) = judged(folder, root=ROOT).findings
    assert (one.gate, one.object, one.where) == ("policy", "Deployment/web", SOURCE)
    assert one.hint == "by the rule deny in policy"


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ('violation contains "no" if input.kind', "no"),
        ('violation contains {"msg": "no", "details": {"a": 1}} if input.kind', "no"),
        ('deny_root contains "no" if input.kind', "no"),
        ("deny if input.kind", "deny is true"),
        ('deny := "no" if input.kind', "no"),
        ('deny contains {"reason": "no"} if input.kind', '{"reason":"no"}'),
    ],
)
def test_a_rule_may_say_it_in_each_of_these_ways(folder: Path, head: str, message: str) -> None:
    assert denied(folder, rule(head)) == [message]


@pytest.mark.parametrize("head", ['denied contains "a" if input.kind', 'helper := "deny"', "deny if not input.kind"])
def test_what_denies_nothing_passes(folder: Path, head: str) -> None:
    assert denied(folder, rule(head)) == []


@pytest.mark.parametrize("head", ["deny contains input.stringData.password", "warn contains input.data.password"])
def test_what_a_rule_says_has_no_value_of_a_secret_in_it(folder: Path, head: str) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"
    text = f"{secret}stringData: {{password: hunter2}}\ndata: {{password: aHVudGVyMg==}}\n"
    said = judged(folder, text, leak=rule(head))
    told = [*said.warnings, *(one.message for one in said.findings)]
    assert len(told) == 1 and "•••" in told[0] and not {"hunter2", "aHVudGVyMg=="} & set(told[0].split())


def test_a_warning_stops_nothing(folder: Path) -> None:
    text = rule('warn_owner contains "nobody owns it" if input.kind')
    assert judged(folder, owner=text) == Judged([], [f"{SOURCE}: Deployment/web: nobody owns it (warn_owner)"])


def test_a_rule_may_use_another_package(folder: Path) -> None:
    library = 'package lib.kinds\n\nworkload(kind) if kind in {"Deployment", "DaemonSet"}\n'
    using = 'package main\nimport data.lib.kinds\n\ndeny contains "no" if kinds.workload(input.kind)\n'
    assert denied(folder, library, using) == ["no"]


def test_tests_of_policies_are_left_out(folder: Path) -> None:
    (folder / "root_test.rego").write_text("package main\n\nbroken")
    assert denied(folder, ROOT) == ["web may run as root"]


def test_policies_in_folders_below_count(folder: Path) -> None:
    (folder / "team").mkdir()
    (folder / "team/root.rego").write_text(ROOT)
    assert denied(folder) == ["web may run as root"]


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("package main\n\ndeny contains msg if {\n  msg ==\n}\n", "policy/file0.rego:5:1", "is broken: expecting"),
        ("package main\n\ndeny[msg] {\n  msg ==\n}\n", "policy/file0.rego:3:", "is broken: "),
        (rule('deny contains "a" if lost(input)'), "policy/file0.rego:3:26", "could not find function lost"),
        (rule("deny contains msg if input.kind"), "policy/file0.rego:3:15", "var msg is unsafe"),
        (rule('deny contains to_number("a") if input.kind'), "policy/file0.rego:3:", "cannot judge Deployment/web: "),
    ],
)
def test_a_broken_policy_is_an_error_with_its_place(folder: Path, text: str, where: str, message: str) -> None:
    with pytest.raises(LoopError, match=message) as raised:
        denied(folder, text)
    assert str(raised.value.where).startswith(where)


def test_a_folder_without_policies_is_an_error(folder: Path) -> None:
    with pytest.raises(LoopError, match="policy has no policies"):
        denied(folder)


def test_policies_of_which_none_is_of_package_main_are_an_error(folder: Path) -> None:
    with pytest.raises(LoopError, match="no file in policy is of package main"):
        denied(folder, ROOT.replace("package main", "package shop"))


def test_without_the_engine_it_is_told_how_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "regorus", None)
    with pytest.raises(LoopError) as raised:
        denied(folder, ROOT)
    assert raised.value.hint == "pip install 'innerloop[policies]'"
