"""Each way to log in, against the real API server, which tells who it takes us for."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import trustme

from innerloop.kube import config, in_cluster, objects
from innerloop.kube.access import Access, ExecPlugin, Impersonation, Secret, Token, TokenFile
from innerloop.kube.client import Client, connect
from innerloop.kube.errors import ConnectionFailed, Forbidden, KubeConfigError, Unauthorized
from tests.kube.loopback import HttpProxy, listening, relayed

pytestmark = pytest.mark.cluster


async def who_am_i(access: Access) -> dict[str, Any]:
    """What the server takes us for: username, groups, extra."""
    async with connect(access) as client:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = await client.request_json("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=review)
    found: dict[str, Any] = answer["status"]["userInfo"]
    return found


def changed(access: Access, **changes: Any) -> Access:
    return msgspec.structs.replace(access, **changes)


@pytest.fixture
async def token(client: Client, namespace: str) -> AsyncIterator[str]:
    """A token of the namespace's service account ``robot``, who has no rights."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot", "namespace": namespace}}
    await objects.create(client, account)
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/robot/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    yield (await client.request_json("POST", path, body=request))["status"]["token"]


async def test_a_client_certificate(client: Client) -> None:
    assert "system:masters" in (await who_am_i(client.access))["groups"]


async def test_a_token(client: Client, token: str, namespace: str) -> None:
    found = await who_am_i(changed(client.access, certificate=None, credentials=Token(Secret(token))))
    assert found["username"] == f"system:serviceaccount:{namespace}:robot"


async def test_a_token_file(client: Client, token: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{token}\n")
    found = await who_am_i(changed(client.access, certificate=None, credentials=TokenFile(tmp_path / "token")))
    assert found["username"].endswith(":robot")


async def test_a_plugins_token(client: Client, token: str, tmp_path: Path) -> None:
    found = await who_am_i(changed(client.access, certificate=None, credentials=plugin(tmp_path, token=token)))
    assert found["username"].endswith(":robot")


async def test_a_plugins_certificate(client: Client, tmp_path: Path) -> None:
    own = client.access.certificate
    assert own is not None
    credentials = plugin(tmp_path, clientCertificateData=own.chain, clientKeyData=own.key.reveal())
    found = await who_am_i(changed(client.access, certificate=None, credentials=credentials))
    assert "system:masters" in found["groups"]


async def test_a_plugin_runs_again_when_its_token_is_refused(client: Client, token: str, tmp_path: Path) -> None:
    # the first run gives a bad token, every other the good one
    second = plugin(tmp_path, token=token)
    script = Path(second.command)
    bad = plugin_answer(token="expired")
    script.write_text(script.read_text().replace("cat", f"if mkdir {tmp_path}/ran; then echo '{bad}'; exit; fi; cat"))
    found = await who_am_i(changed(client.access, certificate=None, credentials=second))
    assert found["username"].endswith(":robot")


async def test_the_service_account_of_a_pod(
    client: Client, token: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = urlsplit(client.access.server)
    for name, text in {"token": token, "ca.crt": client.access.ca, "namespace": namespace}.items():
        (tmp_path / name).write_text(text or "")
    monkeypatch.setattr(in_cluster, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", server.hostname or "")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    access = config.access(config.load())
    assert access.namespace == namespace
    assert (await who_am_i(access))["username"] == f"system:serviceaccount:{namespace}:robot"


async def test_impersonation(client: Client) -> None:
    someone = Impersonation("ann", ("dev", "ops"), "7", {"example.com/why": ("test",)})
    found = await who_am_i(changed(client.access, impersonate=someone))
    assert found == {
        "username": "ann",
        "uid": "7",
        "groups": ["dev", "ops", "system:authenticated"],
        "extra": {"example.com/why": ["test"]},
    }


async def test_missing_rights_are_told_in_the_servers_words(client: Client, token: str, namespace: str) -> None:
    access = changed(client.access, certificate=None, credentials=Token(Secret(token)))
    async with connect(access) as robot:
        with pytest.raises(Forbidden, match=f'robot" cannot list resource "pods" .* in the namespace "{namespace}"'):
            await objects.list_all(robot, "v1", "Pod", namespace=namespace)


async def test_a_bad_token_names_the_user(client: Client) -> None:
    access = changed(client.access, certificate=None, credentials=Token(Secret("hunter2")), user="ann")
    with pytest.raises(Unauthorized, match="does not accept the credentials of user ann"):
        await who_am_i(access)


async def test_a_server_with_another_authority_is_not_trusted(client: Client) -> None:
    other = trustme.CA().cert_pem.bytes().decode()
    with pytest.raises(KubeConfigError, match="cannot be trusted") as caught:
        await who_am_i(changed(client.access, ca=other))
    assert "another one now" in (caught.value.hint or "")


async def test_an_insecure_connection_trusts_anyone(client: Client) -> None:
    other = trustme.CA().cert_pem.bytes().decode()
    assert await who_am_i(changed(client.access, ca=other, insecure=True))


async def test_another_name_needs_tls_server_name(client: Client) -> None:
    async with relayed(client.access) as relay:
        access = changed(client.access, server=f"https://{relay.host}:{relay.port}")
        with pytest.raises(KubeConfigError, match="cannot be trusted") as caught:
            await who_am_i(access)
        assert "tls-server-name" in (caught.value.hint or "")
        assert await who_am_i(changed(access, server_name="kubernetes.default.svc"))


async def test_a_proxy_is_used_for_requests_and_streams(client: Client) -> None:
    proxy = HttpProxy(authorization="Basic bWU6aHVudGVyMg==")
    async with listening(proxy):
        access = changed(client.access, proxy=Secret(f"http://me:hunter2@{proxy.host}:{proxy.port}"))
        assert await who_am_i(access)
    assert proxy.tunnels == [urlsplit(client.access.server).netloc]


async def test_a_proxy_with_tls_server_name(client: Client) -> None:
    proxy = HttpProxy()
    async with listening(proxy), relayed(client.access) as relay:
        access = changed(
            client.access,
            server=f"https://{relay.host}:{relay.port}",
            server_name="kubernetes.default.svc",
            proxy=Secret(f"http://{proxy.host}:{proxy.port}"),
        )
        assert await who_am_i(access)


async def test_a_proxy_over_tls(client: Client) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    proxy = HttpProxy()
    authority.issue_cert(proxy.host).configure_cert(tls)
    async with listening(proxy, tls):
        both = f"{client.access.ca}\n{authority.cert_pem.bytes().decode()}"
        access = changed(client.access, ca=both, proxy=Secret(f"https://{proxy.host}:{proxy.port}"))
        assert await who_am_i(access)


async def test_a_proxy_that_refuses_is_told_without_its_password(client: Client) -> None:
    proxy = HttpProxy(authorization="Basic other")
    async with listening(proxy):
        access = changed(client.access, proxy=Secret(f"http://me:hunter2@{proxy.host}:{proxy.port}"))
        with pytest.raises(ConnectionFailed, match=r"the proxy before .* refused: 407") as caught:
            await who_am_i(access)
    assert "hunter2" not in f"{caught.value} {caught.value.detail} {caught.value.hint} {caught.value.__cause__}"


def plugin_answer(**status: str) -> str:
    return json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status})


def plugin(folder: Path, **status: str) -> ExecPlugin:
    (folder / "answer").write_text(plugin_answer(**status))
    script = folder / "login"
    script.write_text(f"#!/bin/sh\ncat {folder}/answer\n")
    script.chmod(0o755)
    return ExecPlugin(
        api_version="client.authentication.k8s.io/v1", command=str(script), interactive="Never", source="the test"
    )
