"""Which base images a build would use now.

An image is known by its ID, the digest of its configuration: it is the same in a registry, in docker's classic store
and in buildah's. A base that the builder has is what a build uses; only one that it would have to pull is asked of its
registry, once, and never waited for longer than ``SECONDS``.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Iterable, Mapping

from innerloop import references
from innerloop.build.builders import Mirror
from innerloop.build.records import read_record, write_record
from innerloop.build.registry import RegistryError, connect
from innerloop.references import Reference

SECONDS = 2.0
"""For registries to say what a base is; without an answer the tag does not depend on it."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


async def base_digests(
    bases: Iterable[str], local: Mapping[str, str], mirror: Mirror | None, image_platform: str | None
) -> dict[str, str]:
    """ID by reference of the bases that are known; ``local`` are those of the builder's images.

    Bases given by digest need none: the Dockerfile says it all.
    """
    parsed = {base: reference for base in bases if (reference := references.parse(base)) and not reference.digest}
    architecture = architecture_of(image_platform)
    found: dict[str, str] = {}
    for base, reference in parsed.items():
        tagged = reference if reference.tag else reference._replace(tag="latest")
        key = f"{tagged} {architecture}"
        before = read_record("bases", key, str)
        identity = local.get(str(tagged)) or before or await _in_registries(tagged, mirror, architecture)
        if identity and identity != before:
            write_record("bases", key, identity)
        if identity:
            found[base] = identity
    return found


def architecture_of(image_platform: str | None) -> str:
    """Architecture, in Go's words, of a platform like ``linux/arm64``; this machine's without one."""
    machine = platform.machine().lower()
    return (
        image_platform.split("/")[1]
        if image_platform and "/" in image_platform
        else _ARCHITECTURES.get(machine, machine)
    )


async def _in_registries(reference: Reference, mirror: Mirror | None, architecture: str) -> str | None:
    hosts = [(mirror.host, mirror.plain_http)] if mirror else []
    hosts.append((reference.domain, references.is_local(reference.domain)))
    for host, plain_http in hosts:
        try:
            async with asyncio.timeout(SECONDS), connect(host, plain_http=plain_http) as registry:
                found = await registry.configuration(reference.path, reference.tag, architecture)
        except (TimeoutError, RegistryError):
            # without it the tag is less exact, that is all; a build that needs the registry will tell
            continue
        if found:
            return found[0]
    return None
