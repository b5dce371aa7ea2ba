"""From an image's name to the ways to make it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from innerloop.cluster.base_images import catalog, toolchains
from innerloop.cluster.base_images.catalog import Name, Recipe


@pytest.fixture
def no_pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without pyenv and uv; returns the folder where pyenv would have its versions."""
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    return tmp_path / "pyenv/versions"


def install(folder: Path) -> None:
    series = folder.name.removeprefix("cpython-").split("-")[0].rpartition(".")[0]
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / f"python{series}").touch()


async def recipes(image: str) -> list[Recipe]:
    name = catalog.parse(image)
    return await catalog.recipes(name) if name else []


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("python:3.12-slim", Name("python", "3.12-slim", "3.12")),
        ("docker.io/library/python:3.12-slim-bookworm", Name("python", "3.12-slim-bookworm", "3.12")),
        ("library/redis:7", Name("redis", "7", "7")),
        ("busybox", Name("busybox", "latest", "")),
        ("debian:bookworm-slim", Name("debian", "bookworm-slim", "bookworm")),
        ("python:3.12-alpine", None),
        ("python:3.12-slim@sha256:00", None),
        ("registry.example/python:3.12", None),
        ("bitnami/redis:7", None),
        ("web:latest", None),
    ],
)
def test_a_name_is_taken_apart(image: str, name: Name | None) -> None:
    assert catalog.parse(image) == name


@pytest.mark.parametrize(
    ("requested", "actual", "fits"),
    [
        ("", "3.12.1", True),
        ("3", "3.12.1", True),
        ("3.12", "3.12.1", True),
        ("3.12.4", "3.12.1", False),
        ("3.1", "3.12.1", False),
        ("7.0.15", "7.0", False),
        ("8", "7.0", False),
    ],
)
def test_a_version_fits_when_it_keeps_the_promise_of_the_tag(requested: str, actual: str, fits: bool) -> None:
    assert catalog.fits(requested, actual) is fits


@pytest.mark.parametrize("image", ["redis:8", "redis:6", "debian:11-slim", "node:lts", "nginx:1.27", "golang:1.1"])
async def test_another_version_than_there_is_cannot_be_made(image: str) -> None:
    assert await recipes(image) == []


@pytest.mark.parametrize("image", ["redis:7", "debian:12-slim", "busybox:1.35", "node:20-slim"])
async def test_what_distribution_or_wheel_has_is_exact(image: str) -> None:
    assert [recipe.exact for recipe in await recipes(image)] == [True]


async def test_python_comes_from_the_version_that_pyenv_has(no_pythons: Path) -> None:
    install(no_pythons / "3.12.1")
    install(no_pythons / "3.12.10")
    best = (await recipes("python:3.12-slim"))[0]
    assert (best.prefix, best.exact) == (no_pythons / "3.12.10", True)


async def test_python_comes_from_the_version_that_uv_has(no_pythons: Path) -> None:
    folder = no_pythons.parents[1] / "uv/cpython-3.12.4-linux-x86_64-gnu"
    install(folder)
    assert (await recipes("python:3.12-slim"))[0].prefix == folder


async def test_without_the_right_python_the_distributions_stands_in_and_says_so(no_pythons: Path) -> None:
    install(no_pythons / "3.13.0")
    (only,) = await recipes("python:3.12-slim")
    assert (only.contents, only.exact) == ("Python 3.11 of Debian 12", False)


def test_virtual_environments_are_not_taken_for_pythons(no_pythons: Path) -> None:
    install(no_pythons / "myproject-3.12.1")
    assert toolchains.pythons() == []


async def test_go_is_the_one_of_this_machine() -> None:
    if shutil.which("go") is None:
        pytest.skip("no Go")
    go = await toolchains.go()
    assert go is not None
    series = go.version.rpartition(".")[0]
    assert [(recipe.prefix, recipe.exact) for recipe in await recipes(f"golang:{series}")] == [(go.prefix, True)]
