"""Values that are meant for few, in a repository that many read."""

from __future__ import annotations

import base64
import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from innerloop.gitops.gates import plain_secret
from innerloop.gitops.gates.findings import Finding
from innerloop.manifest import Manifest
from tests.gitops.gates.rendered import SOURCE, checked, manifests

PRIVATE = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\n"
ENCRYPTED_FILE = "password=ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\nsops_version=3.9.0\n"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(data: str, *, metadata: str = "", more: str = "") -> str:
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a, namespace: shop{metadata}}}\n{data}\n{more}\n"


def found(text: str) -> list[Finding]:
    return list(plain_secret.findings(manifests(text)))


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ("stringData: {password: hunter2}", "stringData.password"),
        (f"data: {{password: {encoded('hunter2')}}}", "data.password"),
        ("data: {password: not-base64!}", "data.password"),
        ("data: {password: gehört-dazu}", "data.password"),
        ("stringData: {password: 12345}", "stringData.password"),
        ('stringData: {config: \'{"user": "${USER}", "password": "x"}\'}', "stringData.config"),
        ("stringData: {url: 'postgres://me:${PASSWORD}@db'}", "stringData.url"),
        ("stringData: {password: '<password>'}", "stringData.password"),
    ],
)
def test_a_readable_value_is_told_by_its_key(data: str, key: str) -> None:
    (one,) = found(secret(data))
    assert one.message == f"anyone who reads the repository can read {key}"
    assert (one.gate, one.object, one.where) == ("plain-secret", "Secret/a", SOURCE)


@pytest.mark.parametrize(
    "text",
    [
        secret(""),
        secret("data: {}"),
        secret("data:"),
        secret("stringData: {token: ''}"),
        secret("type: kubernetes.io/service-account-token", metadata=", annotations: {a: b}"),
        secret("stringData: {password: '<path:secret/data/shop#password>'}"),
        secret(f"data: {{password: {encoded('<path:secret/data/shop#password>')}}}"),
        secret("stringData: {password: <password>}", metadata=", annotations: {avp.kubernetes.io/path: secret/shop}"),
        secret("stringData: {password: 'ref+vault://secret/shop#/password'}"),
        secret("stringData: {password: 'vault:secret/data/shop#password'}"),
        secret(f"data: {{password: {encoded('>>vault:secret/data/shop#password')}}}"),
        secret("stringData: {password: '${SHOP_PASSWORD}'}"),
        secret("stringData: {password: 'op://shop/db/password'}"),
        secret("stringData: {password: 'berglas://shop/db'}"),
        secret(f"data: {{db.env: {encoded(ENCRYPTED_FILE)}}}"),
        """
        apiVersion: bitnami.com/v1alpha1
        kind: SealedSecret
        metadata: {name: a}
        spec: {encryptedData: {password: AgBy3i4OJSWK}, template: {metadata: {name: a}, type: Opaque}}
        """,
        """
        apiVersion: external-secrets.io/v1
        kind: ExternalSecret
        metadata: {name: a}
        spec: {target: {template: {data: {url: "postgres://{{ .user }}"}}}, data: [{secretKey: user}]}
        """,
    ],
)
def test_what_nobody_can_read_passes(text: str) -> None:
    assert found(text) == []


def test_what_sops_encrypted_passes() -> None:
    more = "sops: {mac: 'ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]', version: 3.9.0}"
    assert found(secret("data: {password: 'ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]'}", more=more)) == []


def test_a_value_that_sops_left_as_it_was_is_told() -> None:
    more = "sops: {unencrypted_suffix: _unencrypted}"
    data = "stringData: {a: 'ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]', b_unencrypted: hunter2}"
    assert [one.message for one in found(secret(data, more=more))] == [
        "anyone who reads the repository can read stringData.b_unencrypted"
    ]


def test_encrypted_values_count_only_with_the_metadata_of_sops() -> None:
    assert len(found(secret("stringData: {a: 'ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]'}"))) == 1


@pytest.mark.parametrize(
    "text",
    [
        """
        apiVersion: v1
        kind: List
        metadata: {name: all}
        items: [{apiVersion: v1, kind: Secret, metadata: {name: inner}, stringData: {a: b}}]
        """,
        """
        apiVersion: v1
        kind: SecretList
        metadata: {name: all}
        items: [{metadata: {name: inner}, stringData: {a: b}}]
        """,
        """
        apiVersion: fluxcd.controlplane.io/v1
        kind: ResourceSet
        metadata: {name: all}
        spec: {resources: [{apiVersion: v1, kind: Secret, metadata: {name: inner}, stringData: {a: b}}]}
        """,
    ],
)
def test_a_secret_that_another_object_carries_is_found(text: str) -> None:
    (one,) = found(text)
    assert one.object == "Secret/inner"
    assert one.message.endswith("/all)")


@pytest.mark.parametrize("data", [{"data": {"tls.key": PRIVATE}}, {"binaryData": {"tls.key": encoded(PRIVATE)}}])
def test_a_private_key_in_a_config_map_is_told(data: dict[str, dict[str, str]]) -> None:
    objects = [Manifest({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, **data}, SOURCE)]
    (one,) = plain_secret.findings(objects)
    assert (one.object, one.message) == ("ConfigMap/a", f"a private key is in {next(iter(data))}.tls.key")


def test_a_certificate_in_a_config_map_passes() -> None:
    certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    objects = [Manifest({"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"ca.crt": certificate}}, SOURCE)]
    assert list(plain_secret.findings(objects)) == []


VALUES = st.text(string.ascii_letters + string.digits + "$#<>{}:/ \n", min_size=8, max_size=40).filter(str.strip)


@given(plain=VALUES, other=VALUES)
def test_no_finding_of_any_gate_ever_tells_a_value(plain: str, other: str) -> None:
    marked, shown = f"hush{plain}", f"hush{other}"
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "a"},
        "data": {"a": marked, "b": encoded(shown), "c": 1},
        "stringData": {"d": shown, "e": [marked]},
        "type": [marked],
        "immutable": marked,
    }
    findings = list(plain_secret.findings([Manifest(secret, SOURCE)]))
    findings += checked(msgspec.json.encode(secret).decode())
    assert len(findings) > 3
    told = " ".join(part for one in findings for part in one)
    assert "hush" not in told and encoded(shown) not in told


@given(secret=VALUES, before=st.text(string.ascii_letters), after=st.text(string.ascii_letters))
def test_a_text_about_a_secret_is_masked(secret: str, before: str, after: str) -> None:
    obj = {"kind": "Secret", "data": {"a": encoded(secret)}}
    said = f"{before}{secret}{after}: {encoded(secret)}, {msgspec.json.encode(secret).decode()}"
    told = plain_secret.masked(said, [obj])
    assert secret not in told and encoded(secret) not in told
