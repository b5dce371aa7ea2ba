"""Whatever an object is, gates tell what is wrong with it and do not fail themselves."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from innerloop.gitops.gates.checking import check
from innerloop.manifest import Manifest
from tests.gitops.gates.rendered import DEPLOYMENT, SOURCE, manifests, project, rendered
from tests.gitops.gates.test_custom_kinds import DEFINITION, WIDGET

RULES = 'package main\n\ndeny contains "no" if input.spec.template.spec.containers[_].image == "none"\n'
OBJECTS = [
    one.object
    for one in manifests(
        f"""{DEPLOYMENT}
      volumes: [{{name: data, emptyDir: {{}}}}]
      initContainers: [{{name: first, image: web, command: [web]}}]
---
apiVersion: v1
kind: Secret
metadata: {{name: a, namespace: shop, labels: {{a: b}}, annotations: {{c: d}}}}
data: {{a: aGk=}}
stringData: {{b: c}}
sops: {{mac: a}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: a, namespace: shop}}
data: {{a: b}}
binaryData: {{a: aGk=}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: a, namespace: shop}}
spec:
  schedule: "* * * * *"
  jobTemplate: {{spec: {{template: {{metadata: {{}}, spec: {{containers: [{{name: a}}]}}}}}}}}
---
apiVersion: v1
kind: List
metadata: {{name: all}}
items: [{{apiVersion: v1, kind: Secret, metadata: {{name: a}}, data: {{}}}}]
---{DEFINITION}---{WIDGET}"""
    )
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policy")
    (folder / "a.rego").write_text(RULES)
    return folder


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_value_of_any_kind_anywhere_is_taken(data: st.DataObject, policies: Path) -> None:
    objects = copy.deepcopy(OBJECTS)
    places = list(_places(objects, ()))
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from(places))
        node: Any = objects
        for part in path:
            node = node[part] if _has(node, part) else None
        if _has(node, last):
            node[last] = data.draw(VALUES)
    stream = rendered([Manifest(one, SOURCE) for one in objects])
    found = asyncio.run(check(stream, project({"policies": policies}), emit=lambda _: None))
    assert all(isinstance(part, str) for one in found for part in one)


def _has(node: Any, key: Any) -> bool:
    if isinstance(node, list):
        return isinstance(key, int) and key < len(node)
    return isinstance(node, dict) and key in node


def _places(node: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """The paths of all values but those that the renderer makes sure of: metadata and name."""
    items: list[tuple[Any, Any]] = []
    if isinstance(node, dict):
        items = list(node.items())
    elif isinstance(node, list):
        items = list(enumerate(node))
    for key, value in items:
        here = (*path, key)
        if len(here) > 1 and not (len(here) <= 3 and here[1:] in (("metadata",), ("metadata", "name"))):
            yield here
        yield from _places(value, here)
