"""Whether an image is where the cluster finds it, and bringing it there."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from innerloop import references
from innerloop.build.bases import architecture_of
from innerloop.build.builders import Builder
from innerloop.build.destination import Destination, Load, Push
from innerloop.build.image_config import ImageConfig, image_config
from innerloop.build.output import Output
from innerloop.build.records import read_record, write_record
from innerloop.build.registry import connect
from innerloop.errors import Location, LoopError
from innerloop.events import Emit
from innerloop.paths import cache_dir


class Delivered(msgspec.Struct, frozen=True):
    """What is remembered of an image under its full name and tag."""

    digest: str | None
    """Of its manifest, None where it was loaded."""
    config: ImageConfig


async def delivered(destination: Destination, reference: str) -> Delivered | None:
    """The image, if it is there already. Raises RegistryError when its registry cannot be reached."""
    remembered = read_record("images", reference, Delivered)
    if isinstance(destination, Load):
        return remembered if remembered and await destination.present(reference) else None
    return await _pushed(destination, reference, remembered)


async def deliver(
    destination: Destination, builder: Builder, reference: str, output: Output, where: Location
) -> Delivered:
    """Push or load what a builder has. Raises LoopError with all that was written when it fails."""
    digest: str | None = None
    if isinstance(destination, Push):
        digest = await builder.push(reference, _plain_http(destination, reference), output.line)
        if digest is None:
            registry = references.repository(reference).partition("/")[0]
            raise output.failure(f"pushing {reference} failed", where, registry=registry)
    else:
        await _load(destination, builder, reference, output.emit)
    config = await builder.config(reference)
    if config is None:
        raise LoopError(f"{reference} is gone from {builder.NAME} in the middle of a build", where=where)
    result = Delivered(digest, config)
    write_record("images", reference, result)
    return result


async def _pushed(destination: Push, reference: str, remembered: Delivered | None) -> Delivered | None:
    name = references.parse(reference)
    assert name is not None
    async with connect(name.domain, plain_http=_plain_http(destination, reference)) as registry:
        digest = await registry.digest(name.path, name.tag)
        if digest is None:
            return None
        if remembered and remembered.digest == digest:
            return remembered
        described = await registry.configuration(name.path, digest, architecture_of(None))
    if described is None:
        return None
    found = Delivered(digest, image_config(described[1].get("config") or {}))
    write_record("images", reference, found)
    return found


async def _load(destination: Load, builder: Builder, reference: str, emit: Emit) -> None:
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="image-") as temporary:
        archive = Path(temporary) / "image.tar"
        await builder.save(reference, archive)
        await destination.load(archive, reference, emit)


def _plain_http(destination: Push, reference: str) -> bool:
    name = references.parse(reference)
    return destination.plain_http if destination.prefix else name is not None and references.is_local(name.domain)
