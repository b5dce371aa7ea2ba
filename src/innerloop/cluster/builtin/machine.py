"""What the built-in cluster needs of the machine, and how to get it."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from innerloop import processes
from innerloop.errors import LoopError

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where distributions put what only root needs; a shell's PATH often lacks half of it."""

CNI_FOLDERS = ("/usr/lib/cni", "/usr/libexec/cni", "/opt/cni/bin")
"""Debian and Ubuntu, Fedora, everyone's own installation."""

# program: Debian package. containerd.io of docker.com has containerd, ctr and runc too, so each is looked for
_PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "nice": "coreutils",
}
_CNI_PLUGINS = ("ptp", "host-local", "loopback", "portmap")
_CNI_PACKAGE = "containernetworking-plugins"
_COMPANIONS = ("buildah", "debootstrap", "skopeo")
"""Not for the cluster: they build images without docker, and base images where no registry is reachable."""

_OTHER_PROVIDERS = "use kind, k3d or minikube instead: loop cluster up --provider kind"


def check_possible() -> None:
    """Raises LoopError where the built-in cluster can never run: no Linux, not root."""
    if sys.platform != "linux":
        raise LoopError(
            "the built-in cluster needs Linux", hint="install kind, k3d or minikube: 'loop cluster up' then uses it"
        )
    if os.geteuid() != 0:
        raise LoopError(
            "the built-in cluster needs root",
            detail="it makes namespaces, mounts and cgroups, as every container runtime does",
            hint=f"run it with sudo, or {_OTHER_PROVIDERS}",
        )


def missing_packages() -> list[str]:
    """Debian packages whose programs are not there, sorted."""
    missing = {package for name, package in _PROGRAMS.items() if program(name) is None}
    if cni_folder() is None:
        missing.add(_CNI_PACKAGE)
    return sorted(missing)


def check_packages() -> None:
    """Raises LoopError that names what is missing and the command that mends it."""
    missing = missing_packages()
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise LoopError(
            f"the built-in cluster needs programs that are not here: {', '.join(missing)}",
            hint="install the packages of these (or similar) names of your distribution",
        )
    raise LoopError(
        f"the built-in cluster needs packages that are not installed: {', '.join(missing)}",
        hint=f"run: apt-get update && {shlex.join(_install_command(missing))}\n"
        "      or let 'loop cluster up --install' do that",
    )


def installable_packages() -> list[str]:
    """What ``install_packages`` would install: the cluster's packages and what its users build images with."""
    if shutil.which("apt-get") is None:
        return []
    return sorted({*missing_packages(), *(name for name in _COMPANIONS if program(name) is None)})


async def install_packages(on_line: Callable[[str], None]) -> list[str]:
    """Install what is missing with apt-get; returns the packages' names."""
    missing = installable_packages()
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], _install_command(missing)):
        lines: list[str] = []

        def collect(line: str, lines: list[str] = lines) -> None:
            lines.append(line)
            on_line(line)

        code = await processes.stream(command, collect, env=environment)
        if code:
            raise LoopError(f"{shlex.join(command)} ended with status {code}", detail="\n".join(lines[-15:]))
    return missing


def program(name: str) -> str | None:
    """Path of a program, None when it is not there."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")


def required(name: str) -> str:
    """Path of a program that ``check_packages`` found."""
    path = program(name)
    if path is None:
        raise LoopError(f"{name} is not installed", hint="loop cluster up --install")
    return path


def cni_folder() -> Path | None:
    """The folder with the network plugins that we use, None when one is missing."""
    for folder in map(Path, CNI_FOLDERS):
        if all((folder / plugin).is_file() for plugin in _CNI_PLUGINS):
            return folder
    return None


def _install_command(packages: list[str]) -> list[str]:
    return ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
