"""Variables: strict names, sources in their order, and where each value came from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innerloop.config.variables import substitute
from innerloop.errors import Location, LoopError
from innerloop.project import Origin, Project, Variable
from innerloop.render.usage import unused

Read = Callable[..., Project]
Failure = Callable[..., LoopError]
Write = Callable[..., Path]

ENVIRONMENT = "variables: {TITLE: default}\nenvironments: {dev: {variables: env/dev.env, namespace: shop-dev}}\n"


def variables(**values: str) -> dict[str, Variable]:
    origin = Origin(kind="set")
    return {name: Variable(name=name, value=value, origin=origin) for name, value in values.items()}


def test_references_are_replaced_and_two_dollars_are_one() -> None:
    assert substitute("a ${A} $${A} $A ${A}${A}", variables(A="x"), Location("f", 1, 1)) == "a x ${A} $A xx"


def test_values_are_not_looked_at_again() -> None:
    assert substitute("${A}", variables(A="${B}"), Location("f", 1, 1)) == "${B}"


@given(st.text().filter(lambda text: "${" not in text))
def test_text_without_references_stays(text: str) -> None:
    assert substitute(text, {}, Location("f", 1, 1)) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a\nbc ${AB}", "f:4:6: undefined variable ${AB}"),
        ("${}", "f:3:5: '${}' names no variable"),
        ("${A:-x}", "f:3:5: '${A:-x}' names no variable"),
        ("${A", "f:3:5: '${A' names no variable"),
    ],
)
def test_what_is_no_reference_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(LoopError) as caught:
        substitute(text, variables(A="x"), Location("f", 3, 5))
    assert str(caught.value) == told.replace("4:6", "4:4")


def test_sources_from_weak_to_strong(read: Read, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [read("variables: {TITLE: default}\n").variables["TITLE"].value]
    write("TITLE=from file\n", ".env")
    values.append(read("variables: {TITLE: default}\n").variables["TITLE"].value)
    monkeypatch.setenv("TITLE", "from process")
    values.append(read("variables: {TITLE: default}\n").variables["TITLE"].value)
    values.append(read("variables: {TITLE: default}\n", set={"TITLE": "from set"}).variables["TITLE"].value)
    assert values == ["default", "from file", "from process", "from set"]


def test_a_value_knows_its_source_and_what_it_overrode(
    read: Read, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("# title\nTITLE=from file\n", ".env")
    monkeypatch.setenv("TITLE", "from process")
    title = read("variables:\n  TITLE: default\n").variables["TITLE"]
    assert title == Variable(
        name="TITLE",
        value="from process",
        origin=Origin(kind="process"),
        overridden=(
            (Origin(kind="file", where=Location(".env", 2, 7)), "from file"),
            (Origin(kind="default", where=Location("loop.yaml", 3, 10)), "default"),
        ),
    )


def test_an_environment_has_its_own_file_and_not_the_laptops(read: Read, write: Write) -> None:
    write("TITLE=laptop\n", ".env")
    write("TITLE=dev\n", "env/dev.env")
    project = read(ENVIRONMENT, env="dev")
    assert (project.variables["TITLE"].value, project.namespace, project.environment) == ("dev", "shop-dev", "dev")


def test_the_command_line_outranks_the_environments_namespace(read: Read, write: Write) -> None:
    write("", "env/dev.env")
    assert read(ENVIRONMENT, env="dev", namespace="mine", fallback_namespace="weak").namespace == "mine"


def test_the_environments_namespace_outranks_the_laptops_choice(read: Read, write: Write) -> None:
    write("", "env/dev.env")
    assert read(ENVIRONMENT, env="dev", fallback_namespace="weak").namespace == "shop-dev"


def test_built_in_variables_need_no_declaration(read: Read) -> None:
    project = read("commands: {show: 'echo ${LOOP_CONTEXT}/${LOOP_NAMESPACE}'}\n", context="kind-a", namespace="me")
    assert project.commands["show"].run == "echo kind-a/me"


def test_numbers_and_booleans_count_as_written(read: Read) -> None:
    project = read("variables: {A: 0644, B: yes}\n")
    assert (project.variables["A"].value, project.variables["B"].value) == ("0644", "yes")


def test_defaults_may_use_other_variables(read: Read) -> None:
    project = read("variables: {A: 'http://${B}/', B: '${LOOP_NAMESPACE}.local'}\n", namespace="me")
    assert project.variables["A"].value == "http://me.local/"


def test_a_file_may_use_its_own_names_and_declared_ones(read: Read, write: Write) -> None:
    write("HOST=x\nA=http://${HOST}/${B}\n", ".env")
    assert read("variables: {A: '', B: b}\n").variables["A"].value == "http://x/b"


def test_an_unquoted_reference_is_read_as_yaml_after_replacing(read: Read) -> None:
    text = "variables: {A: 3}\nmanifests:\n- helm: c\n  set:\n    n: ${A}\n    t: '${A}'\n"
    (source,) = read(text).manifests
    assert source.set == {"n": 3, "t": "3"}  # type: ignore[union-attr]  # a chart


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("variables: {URL: }\n", "loop.yaml:2:13: variable URL has no value"),
        (
            "variables: {A: '${B}', B: '${A}'}\n",
            "loop.yaml:2:16: variables refer to each other in a circle: A → B → A",
        ),
        ("variables: {LOOP_CONTEXT: x}\n", "loop.yaml:2:13: LOOP_CONTEXT is built in and cannot be declared"),
        ("variables: {A-B: x}\n", "loop.yaml:2:13: 'A-B' is no valid name in variables"),
        ("variables: {TITLE: x}\ncommands:\n  a: echo ${TITEL}\n", "loop.yaml:4:11: undefined variable ${TITEL}"),
        ("commands:\n  a: |\n    true\n    echo ${X}\n", "loop.yaml:5: undefined variable ${X}"),
        ('commands:\n  a: "echo ${X}"\n', "loop.yaml:3:12: undefined variable ${X}"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(failure: Failure, text: str, told: str) -> None:
    if "A → B" in told:
        # both stand in the circle and each is told
        assert told in str(failure(text).detail)
    else:
        assert str(failure(text)) == told


def test_a_mistyped_name_gets_a_suggestion(failure: Failure) -> None:
    assert failure("variables: {TITLE: x}\ncommands: {a: '${TITEL}'}\n").hint == "did you mean 'TITLE'?"


def test_a_missing_value_names_the_file_to_put_it_in(failure: Failure, write: Write) -> None:
    assert "put URL=… into .env" in str(failure("variables: {URL: }\n").hint)
    write("", "env/dev.env")
    told = failure("variables: {URL: }\nenvironments: {dev: {variables: env/dev.env}}\n", env="dev")
    assert "put URL=… into env/dev.env" in str(told.hint)


def test_a_missing_value_names_the_template_that_a_clone_has(failure: Failure, write: Write) -> None:
    write("URL=http://x\n", ".env.example")
    assert str(failure("variables: {URL: }\n").hint).endswith("to begin with: cp .env.example .env")
    write("OTHER=1\n", ".env")
    assert "cp" not in str(failure("variables: {URL: }\n").hint)


def test_set_of_an_undeclared_name_is_an_error(failure: Failure) -> None:
    told = failure("variables: {TITLE: x}\n", set={"TITEL": "y"})
    assert (told.message, told.hint) == (
        "TITEL is given a value, but is not in variables:",
        "did you mean 'TITLE'?",
    )


def test_an_unknown_environment_gets_a_suggestion(failure: Failure) -> None:
    assert failure(ENVIRONMENT, env="dv").hint == "did you mean 'dev'?"


def test_a_missing_environment_file_is_told_where_it_is_named(failure: Failure) -> None:
    assert str(failure(ENVIRONMENT, env="dev")) == ("loop.yaml:3:22: the environment's file env/dev.env does not exist")


def test_unused_variables_are_found_in_all_files(read: Read, write: Write) -> None:
    write("title: ${A}\n", "values.yaml")
    write("kind: ConfigMap\ndata: {b: '${B}'}\n", "deploy/map.yaml")
    text = "variables: {A: x, B: x, C: x, D: x}\nmanifests: [{helm: c, values: values.yaml}, {files: deploy/*.yaml}]\n"
    assert unused([read(text + "commands: {c: 'echo ${C}'}\n")]) == ["D"]
