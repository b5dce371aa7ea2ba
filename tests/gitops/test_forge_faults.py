"""Forges and networks that do not do what they should, and what is said about it."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import trustme

from innerloop import processes
from innerloop.gitops.forges.errors import (
    BadToken,
    Forbidden,
    ForgeError,
    MissingScope,
    NotFound,
    RateLimited,
    Unreachable,
)
from innerloop.gitops.forges.forge import CommitStatus, Forge, Proposal
from innerloop.gitops.forges.http import Patience
from tests.gitops.conftest import adapter_of
from tests.gitops.forge.azure import SIGN_IN
from tests.gitops.forge.github import GitHub
from tests.gitops.forge.repository import Repository
from tests.gitops.forge.server import TOKEN, Fault, serving
from tests.gitops.forge.server import Forge as Server

PROPOSAL = Proposal("promote/vote/stage", "main", "Promote vote to stage", "Two objects change.")
GITHUB = pytest.mark.parametrize("kind", ["github"], indirect=True)
AZURE = pytest.mark.parametrize("kind", ["azure"], indirect=True)

FIND = """
import asyncio, sys
from innerloop.gitops.forges.choosing import forge_of

async def main():
    async with forge_of(sys.argv[1] + "/acme/vote.git", "github") as forge:
        print(await forge.find("promote/vote/stage", "main"))

asyncio.run(main())
"""


def shown(error: ForgeError) -> str:
    """All that a user may get to see, and what a debugger's log would show."""
    return f"{error} {error.detail} {error.hint} {error!r} {error.__cause__!r} {error.__context__!r} {vars(error)}"


async def test_a_server_error_is_asked_again(forge: Forge, server: Server) -> None:
    server.faults.append(Fault(500))
    assert await forge.find(PROPOSAL.head, PROPOSAL.base) is None


async def test_a_request_that_was_put_off_is_sent_again(forge: Forge, server: Server) -> None:
    server.faults.append(Fault(429, headers={"Retry-After": "0"}, times=2))
    await forge.create(PROPOSAL)
    assert len(server.repository.pulls) == 1


async def test_a_connection_that_breaks_off_is_made_again(forge: Forge, server: Server) -> None:
    await forge.find(PROPOSAL.head, PROPOSAL.base)
    server.faults.append(Fault(200, method="GET", times=2, cut=True))
    assert await forge.find(PROPOSAL.head, PROPOSAL.base) is None


async def test_a_forge_that_gives_no_answer_is_told(kind: str) -> None:
    # the kernel takes the connection, and nobody reads from it
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with adapter_of(kind, url, patience=Patience(timeout=0.1)) as forge:
            with pytest.raises(Unreachable, match="gives no answer"):
                await forge.find(PROPOSAL.head, PROPOSAL.base)


async def test_a_server_that_stays_ill_is_told(forge: Forge, server: Server) -> None:
    server.faults.append(Fault(503, "<html>down for maintenance</html>", times=99))
    with pytest.raises(Unreachable) as caught:
        await forge.find(PROPOSAL.head, PROPOSAL.base)
    assert "503" in caught.value.message and "<html" not in shown(caught.value)


async def test_creating_is_not_repeated_by_itself_after_a_server_error(forge: Forge, server: Server) -> None:
    server.faults.append(Fault(500, method="POST"))
    with pytest.raises(Unreachable):
        await forge.create(PROPOSAL)
    assert len([seen for seen in server.requests if seen.method == "POST"]) == 1


async def test_a_token_that_is_not_accepted_is_told_with_its_source(
    server: Server, connected: Callable[..., Any]
) -> None:
    forge = await connected(token="an-old-token", source="SOME_VARIABLE")
    with pytest.raises(BadToken) as caught:
        await forge.find(PROPOSAL.head, PROPOSAL.base)
    assert "SOME_VARIABLE" in caught.value.message and "expired" in caught.value.message
    assert caught.value.hint
    assert "an-old-token" not in shown(caught.value)


async def test_a_token_without_the_scope_is_told_with_what_it_takes(forge: Forge, server: Server, kind: str) -> None:
    server.lacks_scope = True
    with pytest.raises(Forbidden if kind == "azure" else MissingScope) as caught:
        await forge.create(PROPOSAL)
    words = {"github": "repo", "gitlab": "api", "azure": "PullRequestContribute", "gitea": "write:issue"}
    assert words.get(kind, "pullrequest:write") in f"{caught.value.message} {caught.value.detail}"


async def test_a_repository_that_is_not_there_is_told(forge: Forge, server: Server) -> None:
    server.faults.append(Fault(404, '{"message": "Not Found"}', times=99))
    with pytest.raises(NotFound) as caught:
        await forge.find(PROPOSAL.head, PROPOSAL.base)
    assert "vote" in caught.value.message


async def test_words_of_the_forge_never_have_the_token_in_them(forge: Forge, server: Server) -> None:
    server.faults.append(Fault(400, f'{{"message": "no: {TOKEN}"}}', times=99))
    with pytest.raises(ForgeError) as caught:
        await forge.create(PROPOSAL)
    assert "no: …" in shown(caught.value) and TOKEN not in shown(caught.value)


async def test_a_page_for_people_is_no_answer(forge: Forge, server: Server) -> None:
    server.faults.append(Fault(200, "<html>Welcome</html>"))
    with pytest.raises(Unreachable, match="does not answer as"):
        await forge.find(PROPOSAL.head, PROPOSAL.base)


@pytest.mark.parametrize("status", [302, 307])
async def test_another_server_does_not_get_the_token(forge: Forge, server: Server, status: int) -> None:
    async with serving(GitHub(Repository())) as stranger:
        server.faults.append(Fault(status, headers={"Location": f"{stranger.url}/login"}))
        with pytest.raises(BadToken):
            await forge.find(PROPOSAL.head, PROPOSAL.base)
        assert not stranger.requests


async def test_a_forge_that_is_not_there_is_told_at_once(kind: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with adapter_of(kind, url) as forge:
            with pytest.raises(Unreachable, match="cannot reach") as caught:
                await forge.find(PROPOSAL.head, PROPOSAL.base)
    assert caught.value.detail == "Connection refused"


async def test_a_certificate_that_nobody_vouches_for_is_told() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    async with serving(GitHub(Repository()), tls) as server, adapter_of("github", server.url) as forge:
        with pytest.raises(Unreachable, match="cannot be trusted") as caught:
            await forge.find(PROPOSAL.head, PROPOSAL.base)
        assert not server.requests
    assert "authority" in (caught.value.hint or "")


async def test_a_certificate_of_an_authority_that_the_machine_trusts_will_do(tmp_path: Path) -> None:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with serving(GitHub(Repository()), tls) as server:
        # authorities are read once by a process
        asked = await processes.run(
            [sys.executable, "-c", FIND, server.url],
            env={"SSL_CERT_FILE": str(tmp_path / "ca.pem"), "LOOP_FORGE_TOKEN": TOKEN},
        )
    assert asked.text.strip() == "None"


@GITHUB
async def test_a_renamed_repository_is_followed(forge: Forge, server: Server) -> None:
    moved = f"{server.url}/api/v3/repos/acme/renamed/pulls"
    server.faults.append(Fault(307, headers={"Location": moved}, method="POST", path="acme/vote/pulls"))
    await forge.create(PROPOSAL)
    assert len(server.repository.pulls) == 1


@GITHUB
async def test_the_primary_limit_of_github_is_waited_for(forge: Forge, server: Server) -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1000", "Date": formatdate(1000)}
    server.faults.append(Fault(403, '{"message": "API rate limit exceeded"}', headers))
    assert await forge.find(PROPOSAL.head, PROPOSAL.base) is None


@GITHUB
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4600", "Date": formatdate(1000)}, 3600),
        ({"Retry-After": "120"}, 120),
        ({"Retry-After": formatdate(1090, usegmt=True), "Date": formatdate(1000)}, 90),
        ({}, 60),
    ],
    ids=["primary", "seconds", "date", "secondary"],
)
async def test_a_limit_that_lasts_is_told_with_its_end(
    forge: Forge, server: Server, headers: dict[str, str], seconds: float
) -> None:
    words = '{"message": "You have exceeded a secondary rate limit."}'
    server.faults.append(Fault(403, words, headers, times=99))
    with pytest.raises(RateLimited) as caught:
        await forge.find(PROPOSAL.head, PROPOSAL.base)
    assert caught.value.seconds == seconds
    assert len(server.requests) == 1


@GITHUB
async def test_a_limit_is_counted_by_our_clock_where_the_forge_tells_none(forge: Forge, server: Server) -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(time.time() + 100), "Date": "no date"}
    server.faults.append(Fault(429, "{}", headers, times=99))
    with pytest.raises(RateLimited) as caught:
        await forge.find(PROPOSAL.head, PROPOSAL.base)
    assert caught.value.seconds == pytest.approx(100, abs=30)


@GITHUB
async def test_a_fine_grained_token_without_the_permission_is_told(forge: Forge, server: Server) -> None:
    headers = {"X-Accepted-GitHub-Permissions": "pull_requests=write; contents=write"}
    words = '{"message": "Resource not accessible by personal access token"}'
    server.faults.append(Fault(403, words, headers, times=99))
    with pytest.raises(MissingScope) as caught:
        await forge.create(PROPOSAL)
    assert caught.value.needed == ("pull_requests=write", "contents=write")


@GITHUB
async def test_what_the_user_may_not_do_is_not_blamed_on_the_tokens_scopes(forge: Forge, server: Server) -> None:
    headers = {"X-OAuth-Scopes": "repo, workflow", "X-Accepted-OAuth-Scopes": "repo"}
    server.faults.append(Fault(403, '{"message": "Must have admin rights to Repository."}', headers, times=99))
    with pytest.raises(Forbidden):
        await forge.create(PROPOSAL)


@GITHUB
async def test_a_next_page_on_another_server_is_not_asked_for(forge: Forge, server: Server) -> None:
    link = {"Link": '<https://127.0.0.9/api/v3/more>; rel="next"'}
    server.faults.append(Fault(200, '{"statuses": []}', link))
    with pytest.raises(Unreachable, match="another server"):
        await forge.statuses("0" * 40)


@AZURE
@pytest.mark.parametrize("status", [203, 302], ids=["page", "redirect"])
async def test_the_sign_in_page_of_azure_devops_means_the_token(forge: Forge, server: Server, status: int) -> None:
    headers = {"Location": "https://spsprodweu1.vssps.visualstudio.com/_signin"} if status == 302 else {}
    server.faults.append(Fault(status, SIGN_IN, headers))
    with pytest.raises(BadToken) as caught:
        await forge.find(PROPOSAL.head, PROPOSAL.base)
    assert not caught.value.words


@pytest.mark.parametrize("kind", ["gitlab"], indirect=True)
async def test_a_status_that_has_passed_pending_can_not_go_back_to_another(forge: Forge, server: Server) -> None:
    words = '{"message": "Cannot transition status via :drop from :success"}'
    server.faults.append(Fault(400, words, method="POST", times=99))
    with pytest.raises(ForgeError, match="refuses"):
        await forge.set_status("0" * 40, CommitStatus("innerloop/stage", "failure", ""))
