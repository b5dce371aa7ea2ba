"""loop.yaml as a whole becomes the model."""

from __future__ import annotations

from pathlib import Path

import pytest

from innerloop.config.loading import Options, load
from innerloop.errors import LoopError


def project_file(folder: Path, text: str) -> Path:
    file = folder / "loop.yaml"
    file.write_text(text)
    return file


def test_the_least_is_a_name(tmp_path: Path) -> None:
    project = load(project_file(tmp_path, "name: shop\n"), Options())
    assert (project.name, project.folder, project.namespace) == ("shop", tmp_path, "default")


def test_an_unknown_key_is_told_with_its_place_and_the_nearest_one(tmp_path: Path) -> None:
    file = project_file(tmp_path, "name: shop\nimagse:\n  web: ./web\n")
    with pytest.raises(LoopError) as caught:
        load(file, Options())
    assert str(caught.value) == f"{file}:2:1: unknown key 'imagse'"
    assert caught.value.hint == "did you mean 'images'?"
