"""The user's own credentials for registries, from where docker, buildah and podman keep them.

Files, first hit wins, by containers-auth.json(5) and the docker command's reference: ``$REGISTRY_AUTH_FILE``,
``$XDG_RUNTIME_DIR/containers/auth.json``, ``~/.config/containers/auth.json``, ``$DOCKER_CONFIG/config.json``
(``~/.docker``). In each: ``credHelpers`` of the host, ``credsStore``, then ``auths``. Helpers speak the protocol of
docker-credential-helpers: the host on stdin, ``{"Username", "Secret"}`` on stdout.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from innerloop import processes
from innerloop.errors import Location, LoopError
from innerloop.references import DOCKER_HUB

_HUB_KEY = "https://index.docker.io/v1/"
_TOKEN_USER = "<token>"
"""User name by which a helper says that the secret is an identity token."""


class Credentials(NamedTuple):
    user: str
    password: str
    identity_token: str = ""
    """An OAuth2 refresh token, given instead of user and password."""


class _Auth(msgspec.Struct):
    auth: str = ""
    username: str = ""
    password: str = ""
    identitytoken: str = ""


class _File(msgspec.Struct):
    auths: dict[str, _Auth] = {}
    credHelpers: dict[str, str] = {}
    credsStore: str = ""


async def find_credentials(host: str) -> Credentials | None:
    """Credentials for a registry's host, None where there are none.

    Raises LoopError for a file that cannot be read and a helper that fails.
    """
    for file in _files():
        if found := await _in_file(file, host):
            return found
    return None


def authentication_file(known: Iterable[tuple[str, Credentials]]) -> bytes:
    """The content of an ``auth.json`` with these credentials by host."""
    auths: dict[str, Any] = {}
    for host, credentials in known:
        pair = f"{credentials.user}:{credentials.password}".encode()
        auths[host] = {"auth": base64.b64encode(pair).decode()}
        if credentials.identity_token:
            auths[host]["identitytoken"] = credentials.identity_token
    return msgspec.json.encode({"auths": auths})


def _files() -> Iterator[Path]:
    environment = os.environ
    if file := environment.get("REGISTRY_AUTH_FILE"):
        yield Path(file)
    if folder := environment.get("XDG_RUNTIME_DIR"):
        yield Path(folder) / "containers/auth.json"
    yield Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "containers/auth.json"
    yield Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


async def _in_file(file: Path, host: str) -> Credentials | None:
    try:
        content = msgspec.json.decode(file.read_bytes(), type=_File)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise LoopError("cannot read registry credentials", where=Location(str(file)), detail=str(error)) from error
    keys = [_HUB_KEY, DOCKER_HUB, "index.docker.io"] if host == DOCKER_HUB else [host, f"https://{host}"]
    for key in keys:
        if helper := content.credHelpers.get(key) or content.credsStore:
            if found := await _from_helper(helper, key):
                return found
        elif found := _stored(content.auths, key, file):
            return found
    return None


def _stored(auths: dict[str, _Auth], key: str, file: Path) -> Credentials | None:
    # docker wrote whole addresses as keys once
    matching = (auth for name, auth in auths.items() if _host(name) == _host(key))
    auth = auths.get(key) or next(matching, None)
    if auth is None:
        return None
    user, password = auth.username, auth.password
    if auth.auth:
        try:
            user, _, password = base64.b64decode(auth.auth, validate=True).decode().rstrip("\0").partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise LoopError(f"the entry of {key} is not base64", where=Location(str(file))) from error
    return Credentials(user, password, auth.identitytoken) if user or auth.identitytoken else None


def _host(key: str) -> str:
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


async def _from_helper(helper: str, key: str) -> Credentials | None:
    program = processes.find_program(
        f"docker-credential-{helper}",
        purpose=f"for the credentials of {_host(key)}",
        hint="install it, or remove it from the docker configuration's credHelpers and credsStore",
    )
    completed = await processes.run([program, "get"], input=key.encode(), check=False)
    if completed.code:
        # the protocol has no code for it: helpers say so on stdout, with status 1
        if b"credentials not found" in completed.stdout + completed.stderr:
            return None
        raise processes.ProgramFailed([program, "get"], completed)
    answer = msgspec.json.decode(completed.stdout, type=dict[str, str])
    user, secret = answer.get("Username", ""), answer.get("Secret", "")
    return Credentials("", "", secret) if user == _TOKEN_USER else Credentials(user, secret)
