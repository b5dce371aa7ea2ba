"""Which HTTP proxy stands between us and the API server, decided as kubectl does (Go's net/http).

``proxy-url`` of the kubeconfig; else HTTPS_PROXY or HTTP_PROXY by the server's scheme, unless NO_PROXY names the
server: by host, domain (``example.com`` and below), address or address range, each with or without port.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from innerloop.kube.access import Access, Secret
from innerloop.kube.errors import KubeConfigError


def find(access: Access, environment: Mapping[str, str] = os.environ) -> Secret | None:
    """URL of the proxy for ``access``, None for a direct connection.

    Raises KubeConfigError for a kind of proxy that is not supported.
    """
    if access.proxy is not None:
        return _checked(access.proxy.reveal(), f"proxy-url of cluster {access.cluster!r} in {access.source}")
    server = urlsplit(access.server)
    name = "HTTPS_PROXY" if server.scheme == "https" else "HTTP_PROXY"
    url = environment.get(name) or environment.get(name.lower())
    if not url or _excepted(server, environment.get("NO_PROXY") or environment.get("no_proxy") or ""):
        return None
    return _checked(url if "://" in url else f"http://{url}", name)


def _checked(url: str, source: str) -> Secret:
    scheme = urlsplit(url).scheme
    if scheme in ("http", "https"):
        return Secret(url)
    hint = "use an http:// or https:// proxy"
    if scheme.startswith("socks"):
        hint += "; for an SSH tunnel, forward the API server's port (ssh -L) and set tls-server-name"
    raise KubeConfigError(f"{source} is a {scheme or 'nameless'} proxy, which is not supported", hint=hint)


def _excepted(server: SplitResult, no_proxy: str) -> bool:
    host = (server.hostname or "").lower()
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    port = server.port or (443 if server.scheme == "https" else 80)
    return any(_covers(entry.strip().lower(), host, address, port) for entry in no_proxy.split(","))


def _covers(entry: str, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: int) -> bool:
    if entry in ("", "*"):
        return entry == "*"
    if "/" in entry:
        return address is not None and address in _network(entry)
    if entry.startswith("[") or entry.count(":") == 1:
        split = urlsplit(f"//{entry}")
        if split.port not in (None, port):
            return False
        entry = split.hostname or ""
    if address is not None:
        return _address(entry) == address
    domain = entry.removeprefix("*").removeprefix(".")
    return host.endswith(f".{domain}") or (host == domain and not entry.startswith((".", "*")))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return ipaddress.IPv4Network("255.255.255.255/32")
