"""Addresses of repositories as git takes them, and what they say about the forge behind them."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from innerloop.gitops.forges.errors import UnknownForge

_SCP = re.compile(r"(?:(?P<user>[^@/:\s]+)@)?(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]+):(?P<path>(?!//).+)")
"""``git@github.com:owner/name.git``; a host of one letter would be a Windows drive."""

_USER = re.compile(r"(?<=://)[^/@]*@")

_SSH_HOSTS = {
    "ssh.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
}
"""Where forges take SSH on port 443, for those behind a firewall, and what they are called otherwise."""


class Address(NamedTuple):
    """Where a repository is, and where its forge answers to HTTP."""

    scheme: str
    """``https`` or ``http``; ``https`` where git goes by SSH."""
    host: str
    """Lower case; an IPv6 address in brackets."""
    port: int | None
    """Of HTTP; None for the scheme's own, and where git goes by SSH."""
    path: str
    """Decoded, without slashes around it and without ``.git``: ``owner/name``, ``group/subgroup/name``."""
    user: str = ""
    """Who logs in, where the address says it."""

    @property
    def server(self) -> str:
        """``https://host:port``."""
        return f"{self.scheme}://{self.host}" + (f":{self.port}" if self.port else "")

    @property
    def parts(self) -> list[str]:
        return self.path.split("/")

    def owner_and_name(self, forge: str) -> tuple[str, str]:
        """The last two parts. Raises UnknownForge where there are fewer."""
        if len(self.parts) < 2:
            raise UnknownForge(
                f"{self.server}/{self.path} is no address of a repository of {forge}",
                hint=f"such as {self.server}/OWNER/NAME; is it the one in `gitops.repository`?",
            )
        return self.parts[-2], self.parts[-1]


def parse(text: str) -> Address | None:
    """The address in full, None for a path of this machine and for anything else without a host."""
    if "://" in text:
        return _from_url(text)
    match = _SCP.fullmatch(text)
    # git reads a slash before the first colon as that of a path
    if match is None or "/" in text.partition(":")[0]:
        return None
    return _address("https", match["host"], None, match["path"], match["user"] or "")


def _from_url(text: str) -> Address | None:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        return None
    scheme = url.scheme.removeprefix("git+")
    if not url.hostname or scheme not in ("https", "http", "ssh", "git"):
        return None
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    user = unquote(url.username or "")
    if scheme in ("ssh", "git"):
        return _address("https", host, None, unquote(url.path), user)
    return _address(scheme, host, None if port == {"https": 443, "http": 80}[scheme] else port, unquote(url.path), user)


def _address(scheme: str, host: str, port: int | None, path: str, user: str) -> Address | None:
    path = path.strip("/").removesuffix(".git").rstrip("/")
    host = host.lower()
    return Address(scheme, _SSH_HOSTS.get(host, host), port, path, user) if path else None


def without_user(address: str) -> str:
    """An address as it may be shown: what stands before the ``@`` of a URL may be a token."""
    return _USER.sub("", address) if address.startswith(("http://", "https://")) else address
