"""Image references: ``domain/path:tag@digest``, by the grammar of the distribution project.

Docker's short forms count: ``web`` is ``docker.io/library/web``, ``shop/web`` is ``docker.io/shop/web``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

DOCKER_HUB = "docker.io"

_PATH = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<domain>[A-Za-z0-9.-]+(?::[0-9]+)?|\[[0-9a-fA-F:]+\](?::[0-9]+)?)/(?P<path>{_PATH}(?:/{_PATH})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[A-Za-z][\w+.-]*:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)


class Reference(NamedTuple):
    domain: str
    """Host with its port; ``docker.io`` where none was given."""
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """The full name without tag and digest: what two references to one image have in common."""
        return f"{self.domain}/{self.path}"

    def __str__(self) -> str:
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference | None:
    """A reference in full, None for text that is none."""
    domain, slash, rest = text.partition("/")
    # by the reference implementation, a first part is a host only if it looks like one
    if not slash or not ("." in domain or ":" in domain or domain == "localhost" or domain != domain.lower()):
        domain, rest = DOCKER_HUB, text
    match = _REFERENCE.fullmatch(f"{domain}/{rest}")
    if match is None:
        return None
    path = match["path"]
    if domain in (DOCKER_HUB, "index.docker.io"):
        domain = DOCKER_HUB
        path = path if "/" in path else f"library/{path}"
    return Reference(domain, path, match["tag"] or "", match["digest"] or "")


def repository(text: str) -> str:
    """The full repository name of a reference; the text itself when it is no reference."""
    parsed = parse(text)
    return parsed.repository if parsed else text


def is_local(host: str) -> bool:
    """Whether a registry's host is this machine, for which plain HTTP is the custom."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    return name in ("localhost", "[::1]") or name.endswith(".localhost") or name.startswith("127.")
