"""What an image says about the process that it starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True):
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    env: dict[str, str] = {}


def image_config(fields: Mapping[str, Any]) -> ImageConfig:
    """From the ``config`` object of the OCI image specification 1.1, which docker inspect shows alike."""
    return ImageConfig(
        entrypoint=tuple(fields.get("Entrypoint") or ()),
        cmd=tuple(fields.get("Cmd") or ()),
        working_dir=fields.get("WorkingDir") or "",
        user=fields.get("User") or "",
        env=dict(entry.partition("=")[::2] for entry in fields.get("Env") or ()),
    )
