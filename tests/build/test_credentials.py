"""Credentials from where the user keeps them, and log-in with them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from innerloop.build.credentials import Credentials, find_credentials
from innerloop.build.destination import Push
from innerloop.build.registry import RegistryError, connect
from innerloop.errors import LoopError
from tests.build.conftest import Shop
from tests.build.registry import IDENTITY_TOKEN, FakeRegistry, serving


def configure(home: Path, content: dict[str, Any]) -> None:
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker/config.json").write_text(json.dumps(content))


def encoded(pair: str) -> dict[str, str]:
    return {"auth": base64.b64encode(pair.encode()).decode()}


def helper(home: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = home / "docker-credential-test"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}:/usr/bin:/bin")


async def test_no_file_means_no_credentials(home: Path) -> None:
    assert await find_credentials("example.com") is None


@pytest.mark.parametrize("key", ["example.com", "https://example.com", "https://example.com/v1/"])
async def test_docker_wrote_hosts_in_several_ways(home: Path, key: str) -> None:
    configure(home, {"auths": {key: encoded("ann:a:b")}})
    assert await find_credentials("example.com") == Credentials("ann", "a:b")


async def test_docker_hub_has_a_key_of_its_own(home: Path) -> None:
    configure(home, {"auths": {"https://index.docker.io/v1/": encoded("ann:pw")}})
    assert await find_credentials("docker.io") == Credentials("ann", "pw")


async def test_a_helper_is_asked_for_its_host(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(home, monkeypatch, 'read host; echo "{\\"Username\\": \\"ann\\", \\"Secret\\": \\"pw of $host\\"}"')
    configure(home, {"credHelpers": {"example.com": "test"}})
    assert await find_credentials("example.com") == Credentials("ann", "pw of example.com")
    assert await find_credentials("example.org") is None


async def test_a_store_may_know_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(home, monkeypatch, "echo credentials not found in native keychain; exit 1")
    configure(home, {"credsStore": "test"})
    assert await find_credentials("example.com") is None


async def test_a_store_that_fails_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(home, monkeypatch, "echo keychain is locked >&2; exit 1")
    configure(home, {"credsStore": "test"})
    with pytest.raises(LoopError) as failure:
        await find_credentials("example.com")
    assert failure.value.detail == "keychain is locked"


async def test_a_missing_helper_is_told(home: Path) -> None:
    configure(home, {"credsStore": "nowhere"})
    with pytest.raises(LoopError, match="docker-credential-nowhere is needed"):
        await find_credentials("example.com")


async def test_a_broken_file_is_told(home: Path) -> None:
    configure(home, {})
    (home / ".docker/config.json").write_text("{")
    with pytest.raises(LoopError, match="cannot read registry credentials"):
        await find_credentials("example.com")


@pytest.mark.usefixtures("needs_buildah")
async def test_a_push_logs_in_with_the_users_credentials(home: Path, shop: Shop) -> None:
    async with serving(FakeRegistry("ann", "pw")) as registry:
        configure(home, {"auths": {registry.host: encoded("ann:pw")}})
        built = await shop.build(Push(registry.host, plain_http=True))
        assert f"web:{built.digest}" in registry.manifests
        assert (await shop.build(Push(registry.host, plain_http=True))).cached


@pytest.mark.usefixtures("needs_buildah")
async def test_a_refused_push_tells_how_to_log_in(home: Path, shop: Shop) -> None:
    async with serving(FakeRegistry("ann", "pw")) as registry:
        configure(home, {"auths": {registry.host: encoded("ann:wrong")}})
        with pytest.raises(LoopError, match=r"pushing 127.0.0.1:\d+/web:\w+ failed") as failure:
            await shop.build(Push(registry.host, plain_http=True))
    assert failure.value.hint == f"log in: docker login {registry.host}"


async def test_an_identity_token_logs_in(home: Path) -> None:
    async with serving(FakeRegistry("ann", "pw")) as registry:
        registry.manifests["web:1"] = ("application/json", b"{}")
        configure(home, {"auths": {registry.host: {"identitytoken": IDENTITY_TOKEN}}})
        async with connect(registry.host, plain_http=True) as asked:
            assert await asked.digest("web", "1")


async def test_a_registry_that_is_not_there_is_told(home: Path) -> None:
    with pytest.raises(RegistryError, match="cannot reach registry"):
        async with connect("127.0.0.1:1", plain_http=True) as asked:
            await asked.digest("web", "1")
