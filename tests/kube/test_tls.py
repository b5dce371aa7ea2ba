"""Certificates: what is wrong with one is told before the server says a vague word."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from innerloop.kube import certificates, tls
from innerloop.kube.access import Access, Certificate, Secret
from innerloop.kube.errors import KubeConfigError


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def certificate(authority: trustme.CA, until: datetime) -> Certificate:
    leaf = authority.issue_cert("client", not_before=until - timedelta(days=1), not_after=until)
    chain, key = leaf.cert_chain_pems[0].bytes().decode(), leaf.private_key_pem.bytes().decode()
    return Certificate(chain, Secret(key), "user 'u' in config")


@pytest.mark.parametrize("year", [2031, 2049, 2050, 2120])
def test_the_expiry_is_read(authority: trustme.CA, year: int) -> None:
    until = datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert certificates.expiry(certificate(authority, until).chain) == until


@pytest.mark.parametrize("content", ["", "!!", "MIIB"])
def test_what_is_no_certificate_is_a_value_error(content: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        certificates.expiry(f"-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----")


def test_a_valid_certificate_is_shown(authority: trustme.CA) -> None:
    valid = certificate(authority, datetime.now(UTC) + timedelta(hours=1))
    assert isinstance(tls.context(Access(server="https://x"), valid), ssl.SSLContext)


def test_an_expired_certificate_is_named(authority: trustme.CA) -> None:
    expired = certificate(authority, datetime(2020, 1, 2, 3, 4, tzinfo=UTC))
    with pytest.raises(KubeConfigError, match="of user 'u' in config expired on 2020-01-02 03:04 UTC"):
        tls.context(Access(server="https://x"), expired)


def test_a_certificate_with_another_key_is_named(authority: trustme.CA) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    mixed = Certificate(certificate(authority, until).chain, certificate(authority, until).key, "user 'u' in config")
    with pytest.raises(KubeConfigError, match="certificate and key of user 'u' in config cannot be used"):
        tls.context(Access(server="https://x"), mixed)


def test_an_authority_that_is_none_is_named() -> None:
    with pytest.raises(KubeConfigError, match="authority of cluster 'c' in None is not a PEM certificate"):
        tls.context(Access(server="https://x", cluster="c", ca="nonsense"), None)


def test_only_the_clusters_authority_is_trusted(authority: trustme.CA) -> None:
    context = tls.context(Access(server="https://x", ca=authority.cert_pem.bytes().decode()), None)
    assert len(context.get_ca_certs()) == 1


def test_without_an_authority_the_systems_are_trusted() -> None:
    context = tls.context(Access(server="https://x"), None)
    assert context.cert_store_stats() == ssl.create_default_context().cert_store_stats()
