"""Choices are kept in the project's ignored folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from innerloop.config import choices
from innerloop.config.choices import Choices
from innerloop.errors import LoopError


def test_nothing_is_chosen_at_first(tmp_path: Path) -> None:
    assert choices.read(tmp_path) == Choices()
    assert not (tmp_path / ".loop").exists()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    chosen = Choices(context="kind-a", namespace="mine")
    choices.write(tmp_path, chosen)
    assert choices.read(tmp_path) == chosen
    assert sorted(path.name for path in (tmp_path / ".loop").iterdir()) == [".gitignore", "choices.json"]


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    choices.write(tmp_path, Choices())
    (tmp_path / ".loop" / "choices.json").write_text("{")
    with pytest.raises(LoopError, match=r"choices\.json: cannot be read"):
        choices.read(tmp_path)
