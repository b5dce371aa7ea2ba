"""Where tokens are found, with the real git; the forges' commands are scripts in their place."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from innerloop.gitops.forges import address, azure, bitbucket, gitlab
from innerloop.gitops.forges.address import Address
from innerloop.gitops.forges.errors import NoToken
from innerloop.gitops.forges.tokens import Token, find
from innerloop.kube.access import Secret


def of(text: str) -> Address:
    parsed = address.parse(text)
    assert parsed is not None
    return parsed


GITHUB = of("git@github.com:acme/vote.git")
ENTERPRISE = of("https://github.example.com/acme/vote.git")
GITLAB = of("https://gitlab.com/acme/vote.git")
AZURE = of("https://dev.azure.com/acme/shop/_git/vote")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Only git is on PATH; the user has configured nothing."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return tmp_path


def program(home: Path, name: str, script: str) -> None:
    path = home / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def helper(home: Path, script: str) -> None:
    """What answers for git's credentials; it is given the question on stdin."""
    program(home, "git-credential-ours", f'test "$1" = get || exit 0\n{script}')
    (home / ".gitconfig").write_text("[credential]\n\thelper = ours\n\tuseHttpPath = true\n")


@pytest.mark.parametrize(
    ("kind", "where", "variable"),
    [
        ("github", GITHUB, "LOOP_FORGE_TOKEN"),
        ("github", GITHUB, "GITHUB_TOKEN"),
        ("github", GITHUB, "GH_TOKEN"),
        ("github", ENTERPRISE, "GH_ENTERPRISE_TOKEN"),
        ("gitlab", GITLAB, "GITLAB_TOKEN"),
        ("azure", AZURE, "AZURE_DEVOPS_EXT_PAT"),
        ("azure", AZURE, "SYSTEM_ACCESSTOKEN"),
        ("gitea", of("https://codeberg.org/acme/vote"), "GITEA_TOKEN"),
        ("gitea", of("https://codeberg.org/acme/vote"), "FORGEJO_TOKEN"),
        ("bitbucket", of("https://bitbucket.org/acme/vote"), "BITBUCKET_TOKEN"),
    ],
)
async def test_the_environment_has_it(kind: str, where: Address, variable: str) -> None:
    assert await find(kind, where, {variable: "secret\n"}) == Token(Secret("secret"), variable)


async def test_our_own_variable_comes_first() -> None:
    found = await find("github", GITHUB, {"GITHUB_TOKEN": "theirs", "LOOP_FORGE_TOKEN": "ours"})
    assert found.value.reveal() == "ours"


async def test_a_token_of_github_com_does_not_go_to_another_server() -> None:
    with pytest.raises(NoToken):
        await find("github", ENTERPRISE, {"GITHUB_TOKEN": "secret", "GH_TOKEN": "secret"})


async def test_a_workflow_of_a_server_has_its_token_in_github_token() -> None:
    environment = {"GITHUB_TOKEN": "secret", "GITHUB_SERVER_URL": "https://github.example.com"}
    assert (await find("github", ENTERPRISE, environment)).source == "GITHUB_TOKEN"


@pytest.mark.parametrize(("host", "used"), [("gitlab.com", True), ("gitlab.example.com", False)])
async def test_the_token_of_a_job_is_for_its_own_server(host: str, used: bool) -> None:
    environment = {"CI_JOB_TOKEN": "secret", "CI_SERVER_HOST": host}
    if used:
        assert gitlab.headers(await find("gitlab", GITLAB, environment)) == {"JOB-TOKEN": "secret"}
    else:
        with pytest.raises(NoToken):
            await find("gitlab", GITLAB, environment)


async def test_git_knows_it(home: Path) -> None:
    helper(home, "echo username=alice\necho password=secret")
    found = await find("github", GITHUB, {})
    assert found == Token(Secret("secret"), "git credential fill", "alice")


async def test_git_is_asked_for_the_very_repository(home: Path) -> None:
    helper(home, f"cat > {home}/asked\necho username=alice\necho password=secret")
    await find("gitea", of("http://alice@127.0.0.1:3000/acme/vote"), {})
    asked = (home / "asked").read_text().splitlines()
    assert {"protocol=http", "host=127.0.0.1:3000", "path=acme/vote.git", "username=alice"} <= set(asked)


async def test_nobody_is_asked_for_a_password(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(home, "ask", f"touch {home}/was-asked\necho secret")
    monkeypatch.setenv("SSH_ASKPASS", str(home / "bin/ask"))
    monkeypatch.setenv("GIT_ASKPASS", str(home / "bin/ask"))
    monkeypatch.setenv("DISPLAY", ":0")
    (home / ".gitconfig").write_text(f"[core]\n\taskPass = {home}/bin/ask\n")
    with pytest.raises(NoToken):
        await find("github", GITHUB, {})
    assert not (home / "was-asked").exists()


@pytest.mark.parametrize(
    ("kind", "where", "command", "arguments"),
    [
        ("github", GITHUB, "gh", "auth token --hostname github.com"),
        ("gitlab", GITLAB, "glab", "config get token --host gitlab.com"),
        (
            "azure",
            AZURE,
            "az",
            "account get-access-token --resource 499b84ac-1321-427f-aa17-267ca6975798 --query accessToken -otsv",
        ),
    ],
)
async def test_the_forges_own_command_knows_it(
    home: Path, kind: str, where: Address, command: str, arguments: str
) -> None:
    program(home, command, f'test "$*" = "{arguments}" && echo secret')
    found = await find(kind, where, {})
    assert found.value.reveal() == "secret"
    assert found.source.startswith(command)


async def test_where_there_is_none_each_place_is_told(home: Path) -> None:
    program(home, "gh", "echo 'no oauth token found for github.com' >&2\nexit 1")
    with pytest.raises(NoToken) as caught:
        await find("github", GITHUB, {})
    told = (caught.value.detail or "").splitlines()
    assert [line.split()[0] for line in told] == ["LOOP_FORGE_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", "git", "gh"]
    assert "no oauth token found" in told[-1]


async def test_a_command_that_is_not_there_is_told() -> None:
    with pytest.raises(NoToken) as caught:
        await find("azure", AZURE, {})
    assert "az is not on PATH" in (caught.value.detail or "")


def test_a_token_does_not_show() -> None:
    assert "secret" not in repr(Token(Secret("secret"), "GITHUB_TOKEN"))


def test_azure_devops_takes_tokens_of_entra_as_bearer_tokens() -> None:
    made = azure.headers(Token(Secret("eyJhbGciOiJub25lIn0.e30.x"), "az account get-access-token"))
    assert made["Authorization"].startswith("Bearer eyJ")


@pytest.mark.parametrize(
    ("token", "header"),
    [
        (Token(Secret("secret"), "BITBUCKET_TOKEN"), "Bearer secret"),
        (Token(Secret("secret"), "git credential fill", "x-token-auth"), "Bearer secret"),
        (Token(Secret("a:b"), "BITBUCKET_TOKEN"), "Basic YTpi"),
        (Token(Secret("b"), "git credential fill", "a"), "Basic YTpi"),
    ],
)
def test_bitbucket_takes_tokens_of_people_with_their_name(token: Token, header: str) -> None:
    assert bitbucket.headers(token)["Authorization"] == header
