"""Which proxy is taken: the rules of Go's net/http, which kubectl follows."""

from __future__ import annotations

import pytest

from innerloop.kube import proxies
from innerloop.kube.access import Access, Secret
from innerloop.kube.errors import KubeConfigError

PROXY = Secret("http://proxy:3128")


def found(server: str, **environment: str) -> Secret | None:
    return proxies.find(Access(server=server), environment)


@pytest.mark.parametrize(
    ("server", "environment", "expected"),
    [
        ("https://api:6443", {"HTTPS_PROXY": "http://proxy:3128"}, PROXY),
        ("https://api:6443", {"https_proxy": "proxy:3128"}, PROXY),
        ("https://api:6443", {"HTTP_PROXY": "http://proxy:3128"}, None),
        ("http://api:8080", {"HTTP_PROXY": "http://proxy:3128"}, PROXY),
        ("https://127.0.0.1:6443", {"HTTPS_PROXY": "http://proxy:3128"}, None),
        ("https://localhost:6443", {"HTTPS_PROXY": "http://proxy:3128"}, None),
        ("https://[::1]:6443", {"HTTPS_PROXY": "http://proxy:3128"}, None),
    ],
)
def test_the_environments_proxy(server: str, environment: dict[str, str], expected: Secret | None) -> None:
    assert found(server, **environment) == expected


@pytest.mark.parametrize(
    ("no_proxy", "server", "direct"),
    [
        ("*", "https://api.example.com", True),
        ("example.com", "https://api.example.com", True),
        ("example.com", "https://example.com", True),
        (".example.com", "https://api.example.com", True),
        (".example.com", "https://example.com", False),
        ("*.example.com", "https://api.example.com", True),
        ("ample.com", "https://example.com", False),
        ("other, API.example.com", "https://api.example.com", True),
        ("10.0.0.0/8", "https://10.96.0.1", True),
        ("10.0.0.0/8", "https://11.0.0.1", False),
        ("10.0.0.0/8", "https://api.example.com", False),
        ("10.96.0.1", "https://10.96.0.1:6443", True),
        ("10.96.0.1:6443", "https://10.96.0.1:6443", True),
        ("10.96.0.1:443", "https://10.96.0.1:6443", False),
        ("api:443", "https://api", True),
        ("[fd00::1]:6443", "https://[fd00::1]:6443", True),
        ("fd00::/8", "https://[fd00::1]:6443", True),
        ("not/anything", "https://10.96.0.1", False),
        ("", "https://api", False),
    ],
)
def test_exceptions(no_proxy: str, server: str, direct: bool) -> None:
    proxy = found(server, HTTPS_PROXY="http://proxy:3128", NO_PROXY=no_proxy)
    assert (proxy is None) == direct


def test_the_kubeconfigs_proxy_outranks_the_environment() -> None:
    access = Access(server="https://localhost", proxy=Secret("https://own:1"))
    assert proxies.find(access, {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}) == Secret("https://own:1")


def test_a_socks_proxy_is_refused_with_a_way_out() -> None:
    access = Access(server="https://api", cluster="c", proxy=Secret("socks5://me:hunter2@localhost:1080"))
    with pytest.raises(KubeConfigError, match=r"proxy-url of cluster 'c' .* is a socks5 proxy") as caught:
        proxies.find(access)
    assert "ssh -L" in (caught.value.hint or "")
    assert "hunter2" not in str(caught.value)
