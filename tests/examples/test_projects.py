"""The examples' files say what we understand, by our loader and by an independent reading of the schema."""

from __future__ import annotations

from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from innerloop.config import loading, yaml
from innerloop.config.loading import Options
from innerloop.config.schema import json_schema
from innerloop.project import ProjectReference

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(EXAMPLES.rglob("loop.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_the_schema_accepts_it(file: Path) -> None:
    (document,) = yaml.load_all(file.read_text(), str(file))
    jsonschema.validate(document, json_schema())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_everything_that_it_names_is_there(file: Path) -> None:
    project = loading.load(file, Options(namespace="mine"))
    assert all(image.dockerfile.is_file() for image in project.images.values())
    assert all(path.local.exists() for target in project.dev.values() for path in target.sync)
    assert all(target.image in project.images for target in project.dev.values())


@pytest.mark.parametrize("environment", ["dev", "stage", "prod"])
def test_vote_has_values_for_each_environment(environment: str) -> None:
    project = loading.load(EXAMPLES / "vote/loop.yaml", Options(env=environment))
    assert project.variables["VOTE_APP_TITLE"].origin.kind == "file"


def test_the_template_of_the_own_values_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text((EXAMPLES / "vote/.env.template").read_text())
    (tmp_path / "loop.yaml").write_text((EXAMPLES / "vote/loop.yaml").read_text())
    project = loading.load(tmp_path / "loop.yaml", Options(namespace="mine"))
    assert project.variables["VOTE_APP_TITLE"].value == "Cats or dogs? (mine)"


def test_the_shop_needs_orders() -> None:
    shop = loading.load(EXAMPLES / "polyglot/shop/loop.yaml", Options(namespace="mine"))
    source = shop.dependencies["orders"].source
    assert isinstance(source, ProjectReference)
    assert source.path == EXAMPLES / "polyglot/orders"


def test_orders_can_be_compiled_where_it_runs() -> None:
    orders = loading.load(EXAMPLES / "polyglot/orders/loop.yaml", Options(profiles=("toolchain",), namespace="mine"))
    assert (orders.images["orders"].target, orders.dev["orders"].command) == ("build", ("go", "run", "."))
