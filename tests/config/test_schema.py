"""The shipped JSON schema says what the loader takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import jsonschema  # type: ignore[import-untyped]  # it has no types
import pytest

from innerloop.config import format, nodes, schema, yaml
from innerloop.errors import LoopError
from innerloop.project import HOOK_POINTS, Project
from tests.config.test_loading import VOTE

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*/loop.yaml"))


def accepted(text: str) -> bool:
    tree = yaml.parse(text, "x")
    assert tree is not None
    return bool(jsonschema.Draft202012Validator(schema.json_schema()).is_valid(nodes.plain(tree)))


def test_the_shipped_schema_is_current() -> None:
    assert schema.FILE.read_text() == schema.text(), "run: python -m innerloop.config.schema"


def test_it_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema.json_schema())


def test_hook_points_of_the_file_are_those_of_the_model() -> None:
    assert get_args(format.HookPoint) == HOOK_POINTS


def test_every_key_is_described() -> None:
    undescribed = [
        f"{name}.{key}"
        for name, part in {"file": schema.json_schema(), **schema.json_schema()["$defs"]}.items()
        for key, value in part["properties"].items()
        if name != "Profile" and "description" not in value
    ]
    assert undescribed == []


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
def test_examples_fit_the_schema(file: Path) -> None:
    tree = yaml.parse(file.read_text(), str(file))
    assert tree is not None
    jsonschema.validate(nodes.plain(tree), schema.json_schema(), jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "text",
    [
        VOTE.replace("APP_URL:", "APP_URL: x"),
        "images: {web: ./web}\ndev: {web: {ports: 8085, sync: 'a:/b', command: [a, 1], env: {A: 1, B: true}}}\n",
        "dev: {web: {selector: {app: web}, ports: [{remote: 80}], sync: [{local: a, remote: /b}]}}\n",
        "hooks: {ready: [a, b]}\ncommands: {a: {run: b, description: c}}\nplugins: a.py\n",
        "dependencies: {a: {path: ../a, profiles: [x], variables: {A: 1}}}\n",
    ],
)
def test_what_is_read_fits_the_schema(read: Callable[..., Project], text: str) -> None:
    assert read(text)
    assert accepted(f"name: shop\n{text}")


@pytest.mark.parametrize(
    "text",
    [
        "imagse: {}\n",
        "images: [a]\n",
        "images: {web: {target: a}}\n",
        "manifests: [{helm: a, files: b}]\n",
        "manifests: [{set: {}}]\n",
        "dev: {web: {selector: {a: b}, ports: [{remote: 70000}]}}\n",
        "hooks: {before-lunch: x}\n",
        "dependencies: {a: {git: x, path: y}}\n",
        "profiles: {p: {imags: {}}}\n",
    ],
)
def test_what_is_refused_does_not_fit_the_schema(failure: Callable[..., LoopError], text: str) -> None:
    assert failure(text)
    assert not accepted(f"name: shop\n{text}")
