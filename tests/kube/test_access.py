"""From a kubeconfig's entries to everything that a connection needs."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from innerloop.kube import config
from innerloop.kube.access import Access, Basic, ExecPlugin, Impersonation, Secret, Token, TokenFile
from innerloop.kube.errors import KubeConfigError

PLUGIN = {"command": "login", "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"}


def access(
    folder: Path, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **options: Any
) -> Access:
    file = folder / "config"
    file.write_text(
        json.dumps(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "mine"}}],
                "clusters": [{"name": "c", "cluster": {"server": "https://there:6443/", **(cluster or {})}}],
                "users": [{"name": "u", "user": user or {}}],
            }
        )
    )
    return config.access(config.load([file]), **options)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_cluster_settings_arrive(tmp_path: Path) -> None:
    found = access(
        tmp_path,
        {
            "tls-server-name": "kubernetes",
            "insecure-skip-tls-verify": True,
            "proxy-url": "http://proxy:3128",
            "disable-compression": True,
        },
    )
    assert (found.server, found.server_name, found.insecure, found.compress) == (
        "https://there:6443",
        "kubernetes",
        True,
        False,
    )
    assert (found.proxy, found.namespace) == (Secret("http://proxy:3128"), "mine")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({"token": "t"}, Token(Secret("t"))),
        ({"username": "u", "password": "p"}, Basic("u", Secret("p"))),
        ({"token": "t", "tokenFile": "/f"}, TokenFile(Path("/f"))),
        ({"token": "t", "exec": PLUGIN}, Token(Secret("t"))),
        ({}, None),
    ],
)
def test_the_way_to_log_in_is_kubectls_choice(tmp_path: Path, user: dict[str, Any], expected: object) -> None:
    assert access(tmp_path, user=user).credentials == expected


def test_data_outranks_files(tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_text("from file")
    user = {
        "client-certificate": "chain.pem",
        "client-certificate-data": encoded("from data"),
        "client-key-data": encoded("key"),
    }
    certificate = access(tmp_path, user=user).certificate
    assert certificate is not None
    assert (certificate.chain, certificate.key.reveal()) == ("from data", "key")


def test_a_plugin_that_asks_for_it_gets_the_cluster(tmp_path: Path) -> None:
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}
    cluster = {"certificate-authority-data": encoded("authority"), "extensions": [extension]}
    plugin = access(tmp_path, cluster, {"exec": {**PLUGIN, "provideClusterInfo": True}}).credentials
    assert isinstance(plugin, ExecPlugin)
    assert plugin.cluster is not None
    assert json.loads(plugin.cluster.reveal()) == {
        "server": "https://there:6443/",
        "certificate-authority-data": encoded("authority"),
        "config": {"audience": "x"},
    }


def test_impersonation_is_read(tmp_path: Path) -> None:
    user = {"as": "ann", "as-groups": ["dev"], "as-uid": "7", "as-user-extra": {"reason": ["test"]}}
    assert access(tmp_path, user=user).impersonate == Impersonation("ann", ("dev",), "7", {"reason": ("test",)})


def test_an_impersonation_of_ours_outranks_the_users(tmp_path: Path) -> None:
    assert access(tmp_path, user={"as": "ann"}, impersonate=Impersonation("bob")).impersonate == Impersonation("bob")


@pytest.mark.parametrize(
    ("cluster", "user", "message"),
    [
        ({"server": ""}, {}, "config: the cluster 'c' has no server"),
        ({"server": "ftp://x"}, {}, "config: the server of cluster 'c' is not of the form"),
        ({"server": "https://me:hunter2@x"}, {}, "config: the server of cluster 'c' is not of the form"),
        (
            {"certificate-authority": "absent.pem"},
            {},
            "certificate-authority of cluster 'c' in .* does not exist: .*absent",
        ),
        ({"certificate-authority-data": "%"}, {}, "certificate-authority-data of cluster 'c' .* is not base64"),
        ({"certificate-authority-data": encoded("x"), "insecure-skip-tls-verify": True}, {}, "has both"),
        ({}, {"client-certificate": "absent.pem"}, "client-certificate of user 'u' in .* does not exist: .*absent.pem"),
        ({}, {"client-certificate-data": encoded("x")}, "has a client-certificate, but no client-key"),
        ({}, {"token": "hunter2", "username": "u"}, "both a token and a username"),
        ({}, {"as-groups": ["x"]}, "impersonates groups"),
        ({}, {"auth-provider": {"name": "oidc"}}, "auth-provider 'oidc', which is not supported"),
        ({}, {"exec": {**PLUGIN, "command": ""}}, "has no command"),
        ({}, {"exec": {**PLUGIN, "interactiveMode": ""}}, "lacks interactiveMode"),
        ({}, {"exec": {**PLUGIN, "interactiveMode": "Maybe"}}, "is 'Maybe', not one of"),
        ({}, {"exec": {**PLUGIN, "apiVersion": "client.authentication.k8s.io/v1alpha1"}}, "v1alpha1"),
    ],
)
def test_a_contradiction_is_told(tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], message: str) -> None:
    with pytest.raises(KubeConfigError, match=message) as caught:
        access(tmp_path, cluster, user)
    assert "hunter2" not in f"{caught.value} {caught.value.detail} {caught.value.hint}"


def test_no_secret_shows_in_a_repr(tmp_path: Path) -> None:
    plugin = {
        **PLUGIN,
        "args": ["--password=hunter2"],
        "env": [{"name": "PASSWORD", "value": "hunter2"}],
        "provideClusterInfo": True,
    }
    proxy = {"proxy-url": "http://me:hunter2@proxy:1"}
    key = {"client-certificate-data": encoded("x"), "client-key-data": encoded("hunter2")}
    shown = [access(tmp_path, proxy, user) for user in ({"token": "hunter2"}, {"exec": plugin}, key)]
    loaded = config.load([tmp_path / "config"])
    assert "hunter2" not in repr([*shown, loaded, *map(msgspec.structs.asdict, shown)])
