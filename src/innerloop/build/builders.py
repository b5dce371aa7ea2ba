"""What every program that builds images can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from innerloop.build.image_config import ImageConfig
from innerloop.project import Image

OnLine = Callable[[str], None]


class Mirror(NamedTuple):
    """A registry that has images of other registries under their own names."""

    host: str
    plain_http: bool


class Order(NamedTuple):
    """One image to build."""

    image: Image
    reference: str
    """Full name and tag that it gets."""
    arguments: Mapping[str, str]
    ignore: Path | None
    bases: tuple[str, ...]
    mirror: Mirror | None


class Builder(Protocol):
    """A program that builds from a Dockerfile and keeps images. References are full names."""

    NAME: str

    async def image_ids(self) -> dict[str, str]:
        """ID by reference of all images that it has: the digest of the configuration."""

    async def build(self, order: Order, on_line: OnLine) -> int:
        """Build; returns the program's exit status."""

    async def push(self, reference: str, plain_http: bool, on_line: OnLine) -> str | None:
        """Push; returns the manifest's digest, None when it failed (the lines say why)."""

    async def save(self, reference: str, archive: Path) -> None:
        """Write an image as a docker archive. Raises ProgramFailed."""

    async def config(self, reference: str) -> ImageConfig | None:
        """Of an image that it has, None where it has none by that name."""
