"""Projects in a folder of their own, free of what the developer's machine happens to say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from innerloop.config.loading import Options, load
from innerloop.errors import LoopError
from innerloop.project import Project
from innerloop.render import programs

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Own caches, and the working directory is the project's folder, so places are short."""
    for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / ".home" / variable))
    for variable in ("LOOP_CONTEXT", "LOOP_NAMESPACE", "TITLE", "URL", "A", "B"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of the project, ``loop.yaml`` unless a name is given, and return it."""

    def write(text: str, name: str = "loop.yaml") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write


@pytest.fixture
def read(write: Write) -> Callable[..., Project]:
    """The project of a ``loop.yaml`` whose first line is its name."""

    def read(text: str = "", **options: object) -> Project:
        return load(write(f"name: shop\n{text}"), Options(**options))  # type: ignore[arg-type]  # forwarded as given

    return read


@pytest.fixture
def failure(read: Callable[..., Project]) -> Callable[..., LoopError]:
    """The error that a ``loop.yaml`` meets, told as the first line tells it, plus hint."""

    def failure(text: str, **options: object) -> LoopError:
        with pytest.raises(LoopError) as caught:
            read(text, **options)
        return caught.value

    return failure


@pytest.fixture(scope="session")
def helm() -> list[str]:
    """The command that every comparison with Helm runs: the user's own, else that of the built-in node."""
    return [programs.helm()]


@pytest.fixture(scope="session")
def kustomize() -> list[str]:
    return programs.kustomize()
