"""Debian's side: where this machine gets its packages from, and the root file system of the base image."""

from __future__ import annotations

import asyncio
import platform
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from innerloop import processes
from innerloop.errors import LoopError

_INDEXES = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(RELEASE) $(SITE) $(COMPONENT)", "Created-By: Packages"]
SUITE = "bookworm"
"""Debian 12, whose packages the recipes are written for."""
PACKAGES = "ca-certificates,netbase,tzdata"
"""Beside the minimal set: what the usual slim image has too."""


_CERTIFICATES = Path("/usr/local/share/ca-certificates")
"""Where Debian's update-ca-certificates(8) looks for those that an administrator added."""


class Sources(NamedTuple):
    mirror: str
    """Of the suite itself, for debootstrap."""
    lines: tuple[str, ...]
    """Of sources.list, with updates and security fixes."""


async def sources() -> Sources:
    """Where to get Debian 12's packages from, by this machine's own configuration of apt.

    Raises LoopError where apt does not know a Debian archive.
    """
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    # the origin is known only from an index, and a fresh machine has none
    found = read_indexes((await processes.run(_INDEXES)).text, release)
    if found is None:
        await processes.run(["apt-get", "update", "--quiet"])
        found = read_indexes((await processes.run(_INDEXES)).text, release)
    if found is None:
        raise LoopError(
            "base images can only be made on Debian, where apt knows its archive",
            hint="make an image registry reachable, or push the base images to the cluster's registry",
        )
    return found


def read_indexes(listing: str, release: str) -> Sources | None:
    """Sources of Debian 12 from apt's list of package indexes of a machine that runs ``release``."""
    lines: dict[str, None] = {}
    mirror = ""
    for fields in map(str.split, listing.splitlines()):
        if len(fields) != 4 or fields[0] != "Debian":
            continue
        _, suite, site, component = fields
        pocket = suite.removeprefix(release)
        if component != "main" or pocket not in ("", "-updates", "-security"):
            continue
        lines[f"deb {site} {SUITE}{pocket} main"] = None
        mirror = mirror if pocket else site
    return Sources(mirror, tuple(lines)) if mirror else None


def certificates() -> list[Path]:
    """The authorities that this machine trusts beside the usual ones: what it takes to reach its package registries."""
    return sorted(_CERTIFICATES.rglob("*.crt"))


async def proxies() -> dict[str, str]:
    """Apt's proxies as the variables that debootstrap and builds understand."""
    variables = {"http_proxy": "Acquire::http::Proxy", "https_proxy": "Acquire::https::Proxy"}
    found = {}
    for variable, setting in variables.items():
        answer = (await processes.run(["apt-config", "dump", "--format", "%v", setting])).text.strip()
        if answer and answer != "DIRECT":
            found[variable] = answer
    return found


async def bootstrap(
    mirror: str, root: Path, archive: Path, progress: Callable[[str], None], proxies: Mapping[str, str]
) -> None:
    """Install the minimal Debian into ``root`` and pack it, without device nodes, as ``archive``."""
    last: deque[str] = deque(maxlen=20)

    def on_line(line: str) -> None:
        last.append(line)
        progress(line.removeprefix("I: "))

    # a mount namespace of its own: debootstrap's mounts end with it, however it ends
    command = ["unshare", "--mount", "debootstrap", "--variant=minbase", f"--include={PACKAGES}"]
    argv = [*command, SUITE, str(root), mirror]
    code = await processes.stream(argv, on_line, env=proxies)
    if code:
        raise processes.ProgramFailed(["debootstrap"], processes.Completed(code, "\n".join(last).encode(), b""))
    tar = ["tar", "--directory", str(root), "--sort=name", "--mtime=@0", "--numeric-owner", "--exclude=./dev/*"]
    await processes.run([*tar, "--create", "--file", str(archive), "."])
    await asyncio.to_thread(archive.chmod, 0o600)
