"""How git logs in to the GitOps repository: as the user's own git does, else with the token of the forge."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping

from innerloop.gitops.forges import azure, tokens
from innerloop.gitops.forges.address import parse
from innerloop.gitops.forges.choosing import Kind, kind_of
from innerloop.gitops.forges.errors import NoToken, UnknownForge
from innerloop.gitops.forges.tokens import Token


async def settings(repository: str, configured: Kind | None, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Settings of git that log it in by HTTP; none where it can do so itself, or goes by SSH or by files.

    ``LOOP_FORGE_TOKEN`` is meant for us, so it goes before what git has; the forge's own variables, which other
    programs use as well, and its command come after.
    """
    if not repository.startswith(("https://", "http://")):
        return {}
    where = parse(repository)
    try:
        kind, _ = kind_of(repository, configured)
    except UnknownForge:
        return {}
    if where is None or kind == "git":
        return {}
    if not given.get(tokens.OURS, "").strip() and await tokens.known_to_git(where):
        return {}
    try:
        token = await tokens.find(kind, where, given)
    except NoToken:
        # to read what is public, none is needed; else git says what it lacks
        return {}
    return {f"http.{where.server}/.extraHeader": f"Authorization: {_authorization(kind, token)}"}


def _authorization(kind: Kind, token: Token) -> str:
    value = token.value.reveal()
    match kind:
        case "azure":
            return azure.headers(token)["Authorization"]
        case "gitlab":
            user = "gitlab-ci-token" if token.source == "CI_JOB_TOKEN" else "oauth2"
        case "bitbucket" if ":" in value:
            # an API token of an account, with the account's address
            user, value = "x-bitbucket-api-token-auth", value.partition(":")[2]
        case "bitbucket":
            user = "x-token-auth"
        case _:
            user = "x-access-token"
    return "Basic " + b64encode(f"{user}:{value}".encode()).decode()
