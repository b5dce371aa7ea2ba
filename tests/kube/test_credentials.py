"""Tokens that are renewed on disk, and plugins: a real program each time, and never more often than needed."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from innerloop.kube.access import Access, ExecPlugin, Secret, TokenFile
from innerloop.kube.credentials import Authorization, Login, login
from innerloop.kube.errors import KubeConfigError

V1 = "client.authentication.k8s.io/v1"


class Program:
    """A credential plugin that prints ``answer`` and keeps a record of its runs."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "login"
        self.answer = folder / "answer.json"
        self.record = folder / "record"
        self.path.write_text(
            "#!/bin/sh\n"
            f'echo "$KUBERNETES_EXEC_INFO $EXTRA $*" >> {self.record}\n'
            'if [ -n "$FAIL" ]; then echo "$FAIL" >&2; exit 3; fi\n'
            f"cat {self.answer}\n"
        )
        self.path.chmod(self.path.stat().st_mode | stat.S_IXUSR)

    def prints(self, **status: Any) -> None:
        self.answer.write_text(json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status}))

    @property
    def runs(self) -> list[str]:
        return self.record.read_text().splitlines() if self.record.exists() else []

    def login(self, **options: Any) -> Login:
        settings: dict[str, Any] = {"api_version": V1, "command": str(self.path), "interactive": "Never"}
        plugin = ExecPlugin(**(settings | options), source="user 'u' in config")
        return login(Access(server="https://there", credentials=plugin))


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def bearer(authorization: Authorization) -> str:
    assert authorization.header is not None
    return authorization.header.reveal().removeprefix("Bearer ")


def at(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_a_plugin_runs_once_for_many_requests(program: Program) -> None:
    program.prints(token="one", expirationTimestamp=at(3600))
    source = program.login()
    tokens = await asyncio.gather(*(source.current() for _ in range(5)))
    assert ({bearer(token) for token in tokens}, len(program.runs)) == ({"one"}, 1)


async def test_an_expired_credential_is_fetched_again(program: Program) -> None:
    program.prints(token="old", expirationTimestamp=at(-1))
    source = program.login()
    await source.current()
    program.prints(token="new", expirationTimestamp=at(3600))
    assert bearer(await source.current()) == "new"


async def test_a_refused_credential_is_fetched_again_once(program: Program) -> None:
    program.prints(token="old")
    source = program.login()
    refused = await source.current()
    program.prints(token="new")
    renewals = await asyncio.gather(*(source.renew(refused) for _ in range(3)))
    assert (renewals, bearer(await source.current()), len(program.runs)) == ([True] * 3, "new", 2)


async def test_the_same_credential_again_is_no_renewal(program: Program) -> None:
    program.prints(token="old")
    source = program.login()
    assert not await source.renew(await source.current())


async def test_a_plugin_may_give_a_certificate(program: Program) -> None:
    program.prints(clientCertificateData="chain", clientKeyData="key")
    authorization = await program.login().current()
    assert authorization.certificate is not None
    assert (authorization.certificate.chain, authorization.header) == ("chain", None)


async def test_a_plugin_gets_its_arguments_environment_and_exec_info(program: Program) -> None:
    program.prints(token="t")
    cluster = Secret('{"server":"https://there"}')
    await program.login(args=(Secret("get"),), env=(("EXTRA", Secret("more")),), cluster=cluster).current()
    info, _, rest = program.runs[0].partition(" ")
    assert (json.loads(info), rest) == (
        {
            "apiVersion": V1,
            "kind": "ExecCredential",
            "spec": {"interactive": False, "cluster": {"server": "https://there"}},
        },
        "more get",
    )


async def test_a_plugin_on_path_is_found(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{program.path.parent}{os.pathsep}{os.environ['PATH']}")
    program.prints(token="t")
    assert bearer(await program.login(command="login").current()) == "t"


async def test_a_missing_plugin_comes_with_its_install_hint(program: Program) -> None:
    with pytest.raises(KubeConfigError, match="plugin absent-login of user 'u' in config is not on PATH") as caught:
        await program.login(command="absent-login", install_hint="brew install absent").current()
    assert caught.value.detail == "brew install absent"


async def test_a_failing_plugin_shows_what_it_said(program: Program) -> None:
    with pytest.raises(KubeConfigError, match="ended with status 3") as caught:
        await program.login(env=(("FAIL", Secret("please log in")),)).current()
    assert caught.value.detail == "please log in"


async def test_a_plugin_that_cannot_be_run_is_named(program: Program) -> None:
    program.path.write_bytes(b"\x00\x01")
    with pytest.raises(KubeConfigError, match=r"login of user 'u' in config cannot be run"):
        await program.login().current()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("hunter2", "not an ExecCredential in JSON"),
        ('{"apiVersion": "x/v1", "kind": "ExecCredential", "status": {"token": "hunter2"}}', "it printed x/v1"),
        (f'{{"apiVersion": "{V1}", "kind": "ExecCredential"}}', "neither a token nor a client certificate"),
        (
            f'{{"apiVersion": "{V1}", "kind": "ExecCredential",'
            ' "status": {"token": "t", "clientKeyData": "hunter2"}}',
            "a key without certificate",
        ),
        (
            f'{{"apiVersion": "{V1}", "kind": "ExecCredential",'
            ' "status": {"token": "hunter2", "expirationTimestamp": "soon"}}',
            "not an ExecCredential",
        ),
    ],
)
async def test_unusable_output_is_explained_and_not_shown(program: Program, answer: str, why: str) -> None:
    program.answer.write_text(answer)
    with pytest.raises(KubeConfigError, match="gave no usable credentials") as caught:
        await program.login().current()
    assert why in (caught.value.detail or "")
    assert "hunter2" not in f"{caught.value} {caught.value.detail} {caught.value.hint} {caught.value.__cause__!r}"


@pytest.fixture
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        yield


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    outer, inner = os.openpty()
    with open(inner) as keyboard:
        monkeypatch.setattr("sys.stdin", keyboard)
        yield
    os.close(outer)


@pytest.mark.usefixtures("no_terminal")
async def test_a_plugin_that_must_ask_needs_a_terminal(program: Program) -> None:
    with pytest.raises(KubeConfigError, match="standard input is no terminal"):
        await program.login(interactive="Always").current()


@pytest.mark.usefixtures("terminal")
async def test_a_plugin_may_use_the_terminal_where_there_is_one(program: Program) -> None:
    program.prints(token="t")
    await program.login(interactive="IfAvailable").current()
    assert '"interactive":true' in program.runs[0]


async def test_a_cancelled_plugin_does_not_live_on(program: Program) -> None:
    program.path.write_text(f"#!/bin/sh\necho $$ > {program.record}\nexec sleep 600\n")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await program.login().current()
    with pytest.raises(ProcessLookupError):
        os.kill(int(program.runs[0]), 0)


async def test_a_token_file_is_read_again_when_it_was_replaced(tmp_path: Path) -> None:
    (tmp_path / "1").write_text("one\n")
    (tmp_path / "token").symlink_to("1")
    source = login(Access(server="https://there", credentials=TokenFile(tmp_path / "token")))
    first = bearer(await source.current())
    (tmp_path / "2").write_text("two\n")
    (tmp_path / "new").symlink_to("2")
    (tmp_path / "new").rename(tmp_path / "token")
    assert (first, bearer(await source.current())) == ("one", "two")


async def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    source = login(Access(server="https://there", credentials=TokenFile(tmp_path / "token")))
    with pytest.raises(KubeConfigError, match=r"cannot read the token file .*token"):
        await source.current()
