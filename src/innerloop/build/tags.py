"""Tags by content: the same inputs give the same tag on every machine, with every builder.

What counts: the Dockerfile, the context after its ignore file, the build arguments that the Dockerfile declares,
target, platform, the names of secrets, a custom command, and the base images' identities where they are known. Not the
contents of secrets, so that a tag tells nothing about them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from innerloop.build.context import context_digest
from innerloop.build.dockerfile import Dockerfile, read_dockerfile
from innerloop.build.dockerignore import ignore_file, read_ignore
from innerloop.project import Image

LENGTH = 20
"""Hexadecimal digits of a tag: 80 bits."""

BUILDERS = (None, "docker", "buildah")
"""Values of ``Image.builder`` for which the Dockerfile says everything."""

_FORMAT = 1
"""Changes when the meaning of a tag changes."""


def content_tag(image: Image, *, base_digests: Mapping[str, str] | None = None) -> str:
    """The tag of an image as its inputs are now, in hexadecimal digits.

    ``base_digests`` has the identity of base images by the reference that the Dockerfile uses; unknown ones are left
    out. Reads the whole context: call it in a thread. Raises LoopError for what cannot be read.
    """
    content = _dockerfile_content(image)
    described = _described(image, content)
    known = base_digests or {}
    facts = {
        "format": _FORMAT,
        "dockerfile": hashlib.sha256(content).hexdigest(),
        "arguments": used_arguments(image, described),
        "target": image.target,
        "platform": image.platform,
        "secrets": sorted(image.secrets),
        "command": image.command,
        "builder": None if image.builder in BUILDERS else image.builder,
        "bases": {base: known[base] for base in described.bases if known.get(base)},
        "context": context_digest(image.context, read_ignore(ignore_file(image.context, image.dockerfile))).hex(),
    }
    return hashlib.sha256(msgspec.json.encode(facts, order="deterministic")).hexdigest()[:LENGTH]


def read_image_dockerfile(image: Image) -> Dockerfile:
    """What an image's Dockerfile declares and needs; nothing where there is none (custom commands need none)."""
    return _described(image, _dockerfile_content(image))


def used_arguments(image: Image, dockerfile: Dockerfile) -> dict[str, str]:
    """The build arguments that can change the image: all where no Dockerfile of ours decides it."""
    if is_dockerfile_build(image):
        return {name: value for name, value in image.args.items() if name in dockerfile.arguments}
    return dict(image.args)


def is_dockerfile_build(image: Image) -> bool:
    """Whether docker or buildah builds it, rather than a custom command or a plugin."""
    return image.command is None and image.builder in BUILDERS


def _described(image: Image, content: bytes) -> Dockerfile:
    return read_dockerfile(content.decode(errors="replace").removeprefix("\ufeff"), image.args)


def _dockerfile_content(image: Image) -> bytes:
    return image.dockerfile.read_bytes() if image.dockerfile.is_file() else b""
