"""Whose deployment it is: tells two projects of one name apart, and knows a colleague's clone as the same one.

A project is the same when it lives in the same folder of the same git repository (by the address of its remote, on
whatever machine), or in the same folder of the same machine. So a team may deploy and purge one project from
several laptops, a checkout without a remote is known by its place, and a fork is another project.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import re
import socket
from pathlib import Path

import msgspec

from innerloop import processes
from innerloop.errors import LoopError


class Owner(msgspec.Struct, frozen=True):
    repository: str
    """``github.com/acme/shop//services/vote``; empty without a remote."""
    origin: str
    """``ann@laptop:/src/vote``: who applied last, and from where."""

    def is_same(self, other: Owner) -> bool:
        """Whether both are the same project."""
        if self.repository and self.repository == other.repository:
            return True
        return _place(self.origin) == _place(other.origin)

    def __str__(self) -> str:
        return f"{self.origin} ({self.repository})" if self.repository else self.origin


async def identify(folder: Path) -> Owner:
    """The owner for a project in ``folder``; without git, or outside a repository, known by its place alone."""
    folder = folder.resolve()
    async with asyncio.TaskGroup() as group:
        remote = group.create_task(_git(folder, "config", "--get", "remote.origin.url"), name="git remote")
        prefix = group.create_task(_git(folder, "rev-parse", "--show-prefix"), name="git prefix")
    host = socket.gethostname()
    return Owner(
        repository=repository_name(remote.result(), prefix.result(), host) if remote.result() else "",
        origin=f"{user_name()}@{host}:{folder}",
    )


def repository_name(url: str, prefix: str, host: str) -> str:
    """One name for all addresses of a repository (https, ssh, scp-like), without credentials, with the folder in it.

    A path stands for a repository on ``host``.
    """
    url = re.sub(r"(\.git)?/*$", "", url.strip())
    if found := re.fullmatch(r"[a-z][a-z0-9+.-]*://(?:[^@/]*@)?([^/:]*)(?::\d+)?/+(.*)", url):
        server, path = found[1] or host, found[2]
    elif found := re.fullmatch(r"(?:[^@/:]+@)?([^/:]{2,}):/*(.*)", url):
        server, path = found[1], found[2]
    else:
        server, path = host, url.lstrip("/")
    name = f"{server.lower()}/{path}"
    folder = prefix.strip().strip("/")
    return f"{name}//{folder}" if folder else name


async def _git(folder: Path, *arguments: str) -> str:
    # no git, no repository, no remote: all the same to us
    with contextlib.suppress(LoopError):
        completed = await processes.run(["git", "-C", str(folder), *arguments], check=False)
        return completed.text.strip() if completed.code == 0 else ""
    return ""


def user_name() -> str:
    """Of who runs us; a container's user may have none."""
    # KeyError until Python 3.12, OSError since
    with contextlib.suppress(KeyError, OSError):
        return getpass.getuser()
    return "unknown"


def _place(origin: str) -> str:
    """Machine and folder; the user may be root today."""
    return origin.partition("@")[2]
