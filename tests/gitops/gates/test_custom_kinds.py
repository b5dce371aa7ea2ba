"""Custom resources against their definitions: from files, from the render itself."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from innerloop.errors import Location, LoopError
from innerloop.gitops.gates import custom
from innerloop.gitops.gates.validation import Problem, shown, validate
from tests.gitops.gates.rendered import checked, project, told

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.shop.example.com}
spec:
  group: shop.example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              required: [size]
              properties:
                size: {type: integer, minimum: 1, maximum: 9}
                color: {type: string, enum: [red, green]}
"""
WIDGET = """
apiVersion: shop.example.com/v1
kind: Widget
metadata: {name: a, namespace: shop}
spec: {size: 3, color: red}
"""
WHERE = Location("loop.yaml", 9)
WIDGETS = [("shop.example.com/v1", "Widget")]


def problems(value: Any, schema: dict[str, Any]) -> list[tuple[str, str]]:
    return [(shown(one.path), one.message) for one in validate(value, schema, {})]


def test_a_custom_resource_is_judged_by_the_definition_in_the_render() -> None:
    assert checked(f"{DEFINITION}---{WIDGET}") == []


def test_a_custom_resource_is_judged_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "widgets.yaml").write_text(f"apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\n---\n{DEFINITION}")
    assert checked(WIDGET, project({"schemas": (tmp_path,)})) == []


def test_a_wrong_field_of_a_custom_resource_is_told(tmp_path: Path) -> None:
    (tmp_path / "widgets.yaml").write_text(DEFINITION)
    found = checked(WIDGET.replace("color: red", "colour: red"), project({"schemas": (tmp_path / "widgets.yaml",)}))
    assert [(one.message, one.hint) for one in found] == [("spec.colour: unknown field", "did you mean 'color'?")]


def test_a_custom_resource_in_no_namespace_is_told(tmp_path: Path) -> None:
    assert told(checked(f"{DEFINITION}---{WIDGET.replace(', namespace: shop', '')}")) == [("namespace", "Widget/a")]


def test_its_metadata_is_that_of_every_object() -> None:
    found = checked(f"{DEFINITION}---{WIDGET.replace('name: a', 'name: a, label: {}')}")
    assert [one.message for one in found] == ["metadata.label: unknown field"]


def test_a_version_that_is_not_served_is_unknown() -> None:
    found = checked(f"{DEFINITION.replace('served: true', 'served: false')}---{WIDGET}")
    assert [one.message for one in found] == ["no schema of shop.example.com/v1 Widget is known"]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("required: [size]", "required: 5"),
        ("{type: integer, minimum: 1, maximum: 9}", "{type: [integer], minimum: low}"),
        ("{type: integer, minimum: 1, maximum: 9}", "{$ref: '#/none'}"),
    ],
)
def test_what_cannot_be_read_of_a_definition_is_not_held_against_its_objects(right: str, wrong: str) -> None:
    assert right in DEFINITION
    assert ("schema", "Widget/a") not in told(checked(f"{DEFINITION.replace(right, wrong)}---{WIDGET}"))


def test_what_is_wrong_with_a_definition_is_told_of_it() -> None:
    found = checked(f"{DEFINITION.replace('required: [size]', 'required: 5')}---{WIDGET}")
    assert told(found) == [("schema", "CustomResourceDefinition/widgets.shop.example.com")]


def test_a_list_of_definitions_is_read(tmp_path: Path) -> None:
    item = textwrap.indent(DEFINITION.strip(), "    ").replace("    api", "  - api", 1)
    (tmp_path / "all.yaml").write_text(f"apiVersion: v1\nkind: List\nitems:\n{item}\n")
    assert list(custom.from_files([tmp_path], WIDGETS, WHERE)) == WIDGETS


def test_definitions_that_no_object_needs_are_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{DEFINITION}---\nkind: CustomResourceDefinition\nbroken: [\n")
    assert list(custom.from_files([tmp_path], WIDGETS, WHERE)) == WIDGETS


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LoopError, match="does not exist"):
        custom.from_files([tmp_path / "none"], WIDGETS, WHERE)


def test_a_folder_without_definitions_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(WIDGET)
    with pytest.raises(LoopError, match="has no CustomResourceDefinition"):
        custom.from_files([tmp_path], WIDGETS, WHERE)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "enum": ["a", "b"]}, "a", "c"),
        ({"type": "string", "pattern": "^[a-z]+$"}, "abc", "A"),
        ({"type": "string", "minLength": 2, "maxLength": 3}, "ab", "abcd"),
        ({"type": "integer", "minimum": 1}, 1, 0),
        ({"type": "integer", "maximum": 5, "exclusiveMaximum": True}, 4, 5),
        ({"type": "number", "multipleOf": 5}, 10, 11),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, ["a"], []),
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, ["a", "b"], ["a", "a"]),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": "1"}),
        ({"type": "object", "x-kubernetes-preserve-unknown-fields": True}, {"a": 1}, []),
        ({"x-kubernetes-int-or-string": True}, "50%", 1.5),
        ({"type": "string", "nullable": True}, None, 1),
        ({"type": "string"}, "", None),
        ({"type": "object", "properties": {"a": {"type": "string", "default": "b"}}}, {"a": None}, {"c": 1}),
        ({"type": "string", "not": {"enum": ["root"]}}, "me", "root"),
        ({"type": "string", "anyOf": [{"enum": ["a"]}, {"enum": ["b"]}]}, "b", "c"),
        ({"type": "integer", "oneOf": [{"minimum": 5}, {"maximum": 7}]}, 3, 6),
        ({"type": "integer", "allOf": [{"minimum": 5}, {"maximum": 7}]}, 6, 8),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
            },
            {"a": "1"},
            {"a": "1", "b": "2"},
        ),
    ],
)
def test_a_rule_of_a_schema_holds(schema: dict[str, Any], good: Any, bad: Any) -> None:
    assert (problems(good, schema), len(problems(bad, schema))) == ([], 1)


def test_a_required_field_with_a_default_may_be_missing() -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "default": "b"}}}
    assert problems({}, schema) == []


def test_an_embedded_object_has_what_objects_have() -> None:
    schema = {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {"type": "object"}}}
    assert problems({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}, schema) == []


def test_a_pattern_that_python_does_not_know_is_passed() -> None:
    assert problems("a", {"type": "string", "pattern": r"\pN"}) == []


def test_a_problem_has_no_value_in_it() -> None:
    schema = {"type": "string", "enum": ["a"], "pattern": "^b$", "maxLength": 1}
    found = validate("hush-hush", schema, {})
    assert len(found) == 3
    assert not any("hush" in part for one in found for part in (one.message, one.hint))


def test_a_path_is_shown_as_it_would_be_written() -> None:
    assert shown(("spec", "containers", 0, "a/b")) == 'spec.containers[0]["a/b"]'


def test_problems_are_data() -> None:
    assert validate(1, {"type": "string"}, {}) == [Problem((), "must be text, not a number")]
