"""Where the token for a forge comes from: the environment, git's credential helpers, the forge's own command.

Nothing here asks a person.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping
from typing import NamedTuple

from innerloop import processes
from innerloop.errors import LoopError
from innerloop.gitops.forges.address import Address
from innerloop.gitops.forges.errors import NoToken
from innerloop.kube.access import Secret

SECONDS = 20.0
"""For one helper or command: `az` takes three, a helper that waits for a window takes for ever."""

OURS = "LOOP_FORGE_TOKEN"
AZURE_DEVOPS = "499b84ac-1321-427f-aa17-267ca6975798"
"""Azure DevOps among the applications of Entra."""


class Token(NamedTuple):
    value: Secret
    source: str
    """``GITHUB_TOKEN``, ``git credential fill``, ``gh auth token``; for messages."""
    user: str = ""
    """Whose it is, where its source says so."""

    def scrubbed(self, text: str) -> str:
        return text.replace(self.value.reveal(), "…")


class Places(NamedTuple):
    """Where to look for a token of one kind of forge."""

    name: str
    variables: Callable[[Address, Mapping[str, str]], tuple[str, ...]]
    """Names of environment variables that hold a token for this host."""
    command: Callable[[str], tuple[str, ...]] | None = None
    """The forge's own command, for a host, that prints a token."""


def _github(address: Address, environment: Mapping[str, str]) -> tuple[str, ...]:
    # as gh has it, so that no token of github.com goes to another server; a server's own workflows have GITHUB_TOKEN
    own = environment.get("GITHUB_SERVER_URL", "").rstrip("/").partition("://")[2]
    if address.host == "github.com" or address.host.endswith(".ghe.com"):
        return "GITHUB_TOKEN", "GH_TOKEN"
    enterprise = "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"
    return (*enterprise, "GITHUB_TOKEN") if own and own == _authority(address) else enterprise


def _gitlab(address: Address, environment: Mapping[str, str]) -> tuple[str, ...]:
    in_its_job = environment.get("CI_SERVER_HOST", "").lower() == address.host
    return ("GITLAB_TOKEN", "CI_JOB_TOKEN") if in_its_job else ("GITLAB_TOKEN",)


def _authority(address: Address) -> str:
    return address.server.partition("://")[2]


PLACES = {
    "github": Places("GitHub", _github, lambda host: ("gh", "auth", "token", "--hostname", host)),
    "gitlab": Places("GitLab", _gitlab, lambda host: ("glab", "config", "get", "token", "--host", host)),
    "azure": Places(
        "Azure DevOps",
        lambda *_: ("AZURE_DEVOPS_EXT_PAT", "SYSTEM_ACCESSTOKEN"),
        lambda _: ("az", "account", "get-access-token", "--resource", AZURE_DEVOPS, "--query", "accessToken", "-otsv"),
    ),
    "gitea": Places("Gitea", lambda *_: ("GITEA_TOKEN", "FORGEJO_TOKEN")),
    "bitbucket": Places("Bitbucket", lambda *_: ("BITBUCKET_TOKEN",)),
}


async def find(kind: str, address: Address, environment: Mapping[str, str] = os.environ) -> Token:
    """The first token that a place has. Raises NoToken that tells each place that was looked at."""
    places = PLACES[kind]
    looked: list[str] = []
    for variable in (OURS, *places.variables(address, environment)):
        if value := environment.get(variable, "").strip():
            return Token(Secret(value), variable)
        looked.append(f"{variable} is not set")
    found = await _credential(address)
    if isinstance(found, str):
        looked.append(found)
        found = await _command(places, address)
    if isinstance(found, Token):
        return found
    looked.append(found)
    raise NoToken(
        f"no token for {places.name} at {address.server}",
        detail="\n".join(line for line in looked if line),
        hint=f"set {OURS}, or log in with one of the above; `gitops.forge: git` only pushes a branch",
    )


async def known_to_git(address: Address) -> bool:
    """Whether git itself can log in there."""
    return isinstance(await _credential(address), Token)


async def _credential(address: Address) -> Token | str:
    """What git would use itself; else why there is none."""
    fields = {"protocol": address.scheme, "host": _authority(address), "path": f"{address.path}.git"}
    if address.user and address.user != "git":
        fields["username"] = address.user
    asked = "".join(f"{key}={value}\n" for key, value in fields.items()) + "\n"
    # an empty GIT_ASKPASS stands before core.askPass and SSH_ASKPASS, and is nothing to run
    never = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "GCM_INTERACTIVE": "never"}
    argv = ["git", "-c", "credential.interactive=false", "credential", "fill"]
    output = await _output(argv, input=asked.encode(), env=never)
    if isinstance(output, str):
        return f"git credential fill: none for {address.server} ({output})"
    answer = dict(line.split("=", 1) for line in output.decode(errors="replace").splitlines() if "=" in line)
    if not answer.get("password"):
        return f"git credential fill: none for {address.server}"
    return Token(Secret(answer["password"]), "git credential fill", answer.get("username", ""))


async def _command(places: Places, address: Address) -> Token | str:
    if places.command is None:
        return ""
    argv = places.command(_authority(address))
    if shutil.which(argv[0]) is None:
        return f"{argv[0]} is not on PATH"
    shown = " ".join(argv[:3])
    output = await _output(list(argv))
    if isinstance(output, str):
        return f"{shown}: {output}"
    value = output.decode(errors="replace").strip()
    return Token(Secret(value), shown) if value else f"{shown}: none for {address.host}"


async def _output(argv: list[str], *, input: bytes | None = None, env: Mapping[str, str] | None = None) -> bytes | str:
    """What a program prints; else the first line of why it did not."""
    try:
        async with asyncio.timeout(SECONDS):
            completed = await processes.run(argv, input=input, env=env, check=False)
    except TimeoutError:
        return f"no answer within {SECONDS:g} s"
    except LoopError as error:
        return error.message
    if completed.code:
        lines = completed.stderr.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"status {completed.code}"
    return completed.stdout
