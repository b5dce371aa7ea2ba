"""Building with docker: BuildKit where the daemon or buildx has it, the classic builder otherwise."""

from __future__ import annotations

from pathlib import Path

import msgspec

from innerloop import processes, references
from innerloop.build.builders import OnLine, Order
from innerloop.build.image_config import ImageConfig, image_config

NAME = "docker"


async def image_ids() -> dict[str, str]:
    listed = await processes.run(
        ["docker", "image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]
    )
    found: dict[str, str] = {}
    for line in listed.text.splitlines():
        name, _, identity = line.partition(" ")
        if reference := references.parse(name):
            found[str(reference)] = identity
    return found


async def build(order: Order, on_line: OnLine) -> int:
    image = order.image
    buildx = (await processes.run(["docker", "buildx", "version"], check=False)).code == 0
    # a buildx builder of its own keeps the result to itself unless it is told to load it
    argv = ["docker", "buildx", "build", "--load"] if buildx else ["docker", "build"]
    argv += ["--tag", order.reference, "--file", str(image.dockerfile)]
    argv += ["--target", image.target] if image.target else []
    argv += ["--platform", image.platform] if image.platform else []
    for name, value in order.arguments.items():
        argv += ["--build-arg", f"{name}={value}"]
    for name, file in image.secrets.items():
        argv += ["--secret", f"id={name},src={file}"]
    # attestations would make every build of the same content another digest
    environment = {"BUILDKIT_PROGRESS": "plain", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    if image.secrets and not buildx:
        # daemons before 23.0 have BuildKit, but use it only when told
        environment["DOCKER_BUILDKIT"] = "1"
    return await processes.stream([*argv, str(image.context)], on_line, env=environment)


async def push(reference: str, plain_http: bool, on_line: OnLine) -> str | None:
    # plain HTTP is the daemon's decision: it allows it for loopback and its insecure-registries
    if await processes.stream(["docker", "push", reference], on_line):
        return None
    inspected = await processes.run(["docker", "image", "inspect", reference])
    fields = msgspec.json.decode(inspected.stdout)[0]
    wanted = references.repository(reference)
    digests = (name.partition("@")[::2] for name in fields.get("RepoDigests") or ())
    return next((digest for name, digest in digests if references.repository(name) == wanted), None)


async def save(reference: str, archive: Path) -> None:
    await processes.run(["docker", "save", "--output", str(archive), reference])


async def config(reference: str) -> ImageConfig | None:
    inspected = await processes.run(["docker", "image", "inspect", reference], check=False)
    if inspected.code:
        return None
    return image_config(msgspec.json.decode(inspected.stdout)[0].get("Config") or {})
