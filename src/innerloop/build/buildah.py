"""Building with buildah: no daemon, and root only where the user chose so."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import msgspec

from innerloop import processes, references
from innerloop.build import leftovers
from innerloop.build.builders import Mirror, OnLine, Order
from innerloop.build.credentials import authentication_file, find_credentials
from innerloop.build.image_config import ImageConfig, image_config

NAME = "buildah"


async def image_ids() -> dict[str, str]:
    listed = await processes.run(["buildah", "images", "--json", "--no-trunc"])
    images: list[dict[str, Any]] = msgspec.json.decode(listed.stdout or b"[]")
    return {
        str(reference): image["id"]
        for image in images
        for name in image.get("names") or ()
        if (reference := references.parse(name))
    }


async def build(order: Order, on_line: OnLine) -> int:
    image = order.image
    # docker's own format keeps HEALTHCHECK and SHELL; a base is pulled when it is missing, as docker does
    # the machine's own network for RUN: a bridge would leave an interface and firewall rules behind
    argv = ["buildah", "bud", "--layers", "--format", "docker", "--pull=false", "--network", "host"]
    argv += ["--tag", order.reference, "--file", str(image.dockerfile)]
    argv += ["--ignorefile", str(order.ignore)] if order.ignore else []
    argv += ["--target", image.target] if image.target else []
    argv += ["--platform", image.platform] if image.platform else []
    for name, value in order.arguments.items():
        argv += ["--build-arg", f"{name}={value}"]
    for name, file in image.secrets.items():
        argv += ["--secret", f"id={name},src={file}"]
    hosts = {parsed.domain for base in order.bases if (parsed := references.parse(base))}
    async with leftovers.removed() as mark, _configured(hosts, order.mirror) as (options, environment):
        return await processes.stream([*argv, *mark, *options, str(image.context)], on_line, env=environment)


async def push(reference: str, plain_http: bool, on_line: OnLine) -> str | None:
    parsed = references.parse(reference)
    assert parsed is not None
    async with _configured({parsed.domain}, None) as (options, environment):
        with tempfile.NamedTemporaryFile("r") as digest:
            argv = ["buildah", "push", "--digestfile", digest.name, *options]
            argv += ["--tls-verify=false"] if plain_http else []
            status = await processes.stream([*argv, reference, f"docker://{reference}"], on_line, env=environment)
            return digest.read().strip() or None if status == 0 else None


async def save(reference: str, archive: Path) -> None:
    await processes.run(["buildah", "push", "--quiet", reference, f"docker-archive:{archive}:{reference}"])


async def config(reference: str) -> ImageConfig | None:
    inspected = await processes.run(["buildah", "inspect", "--type", "image", reference], check=False)
    if inspected.code:
        return None
    return image_config(msgspec.json.decode(inspected.stdout)["OCIv1"].get("config") or {})


@contextlib.asynccontextmanager
async def _configured(hosts: Iterable[str], mirror: Mirror | None) -> AsyncIterator[tuple[list[str], dict[str, str]]]:
    """Options and environment for talking to registries with the user's docker credentials and a mirror."""
    options: list[str] = []
    environment: dict[str, str] = {}
    known = [(host, found) for host in sorted(hosts) if (found := await find_credentials(host))]
    with tempfile.TemporaryDirectory(prefix="innerloop-") as folder:
        if known:
            file = Path(folder) / "auth.json"
            file.write_bytes(authentication_file(known))
            options += ["--authfile", str(file)]
        if mirror:
            file = Path(folder) / "registries.conf"
            file.write_text(_registries({*hosts, references.DOCKER_HUB}, mirror))
            environment["CONTAINERS_REGISTRIES_CONF"] = str(file)
        yield options, environment


def _registries(hosts: Iterable[str], mirror: Mirror) -> str:
    """A containers-registries.conf(5) that asks the mirror first."""
    insecure = str(mirror.plain_http).lower()
    lines = [f'unqualified-search-registries = ["{references.DOCKER_HUB}"]']
    for host in sorted(hosts):
        lines += ["[[registry]]", f'location = "{host}"', f"insecure = {insecure if host == mirror.host else 'false'}"]
        if host != mirror.host:
            lines += ["[[registry.mirror]]", f'location = "{mirror.host}"', f"insecure = {insecure}"]
    return "\n".join(lines) + "\n"
