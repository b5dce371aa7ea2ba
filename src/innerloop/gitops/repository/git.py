"""The git program, run so that it asks nobody, and its failures as errors that tell what to do.

RepositoryError
├── RepositoryUnreachable   no answer from the server
├── AccessDenied            it does not know us, or does not let us
├── NoRepository            it answers, and there is none at the address
├── MovedOn                 a branch is not where we saw it: another push was faster
├── ProtectedBranch         the server's rules keep us from pushing to it
└── PushRefused             anything else that the server says no to
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from innerloop.errors import LoopError
from innerloop.processes import Completed, ProgramFailed, find_program, run

SETTINGS = {
    # hooks belong to people's checkouts; those of a template or of core.hooksPath would run in our copy
    "core.hooksPath": os.devnull,
    # what is cleaned up in the background would outlive us
    "gc.autoDetach": "false",
    # two names that differ by case only are two names, whatever this machine's disk says
    "core.ignoreCase": "false",
    # of the user's settings, those that change what is printed or pushed beside what we ask for
    "log.showSignature": "false",
    "i18n.commitEncoding": "UTF-8",
    "i18n.logOutputEncoding": "UTF-8",
    "push.followTags": "false",
    "push.recurseSubmodules": "no",
    "fetch.recurseSubmodules": "false",
    # a connection over which nothing comes for half a minute is dead
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": "30",
}
_QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "GCM_INTERACTIVE": "never", "LC_ALL": "C"}
"""Nobody is asked for a password, as when a token is looked for; the messages that we look into are English."""


class RepositoryError(LoopError):
    """Something about a repository that the user can mend."""


class RepositoryUnreachable(RepositoryError):
    pass


class AccessDenied(RepositoryError):
    pass


class NoRepository(RepositoryError):
    pass


class MovedOn(RepositoryError):
    pass


class ProtectedBranch(RepositoryError):
    pass


class PushRefused(RepositoryError):
    pass


class Git:
    """The program for one folder (``--git-dir``), with settings that only its processes see."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._program = find_program("git", purpose="to change the GitOps repository", hint="install git")
        self.folder = folder
        self._environment = environment({**SETTINGS, **settings})

    async def __call__(
        self, *arguments: str, input: bytes | None = None, env: Mapping[str, str] | None = None, check: bool = True
    ) -> Completed:
        """Raises ProgramFailed where ``check`` and git does."""
        argv = [self._program, f"--git-dir={self.folder}", *arguments]
        return await run(argv, input=input, env={**self._environment, **(env or {})}, check=check)

    async def text(self, *arguments: str, input: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
        """What it prints, without the line's end."""
        return (await self(*arguments, input=input, env=env)).text.rstrip("\n")


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Variables that give git these settings, after those that the caller's environment gives it.

    So nothing of it, a token least of all, is on a command line or in a file.
    """
    taken = int(os.environ.get("GIT_CONFIG_COUNT", "") or 0)
    given = dict(_QUIET)
    for number, (key, value) in enumerate(settings.items(), start=taken):
        given[f"GIT_CONFIG_KEY_{number}"] = key
        given[f"GIT_CONFIG_VALUE_{number}"] = value
    given["GIT_CONFIG_COUNT"] = str(taken + len(settings))
    return given


_NO_NETWORK = (
    "could not resolve host",
    "failed to connect",
    "couldn't connect to server",
    "connection refused",
    "connection timed out",
    "connection reset",
    "network is unreachable",
    "no route to host",
    "operation too slow",
    "empty reply from server",
    "the remote end hung up",
    "could not resolve proxy",
    "ssl certificate problem",
    "returned error: 5",
)
_NO_ACCESS = (
    "authentication failed",
    "could not read username",
    "could not read password",
    "terminal prompts disabled",
    "permission denied",
    "access denied",
    "host key verification failed",
    "invalid credentials",
    "returned error: 401",
    "returned error: 403",
    "you may not have access",
    "tf401027",
    "marked as read only",
)
_NO_REPOSITORY = (
    "does not appear to be a git repository",
    "repository not found",
    "does not exist",
    "not found",
    "returned error: 404",
    "could not be found",
    "not a git repository",
)
_PROTECTED = (
    "protected branch",
    "gh006",
    "gh013",
    "protected ref",
    "tf402455",
    "is protected",
    "branch restriction",
    "not allowed to force push",
)
_RACE = (
    "stale info",
    "fetch first",
    "non-fast-forward",
    "cannot lock ref",
    "failed to update ref",
    "reference already exists",
    "incorrect old value",
)


def unreachable(address: str, what: str, failed: ProgramFailed) -> RepositoryError:
    """Why a repository could not be asked. ``what`` was to be done, for the message: ``read``."""
    detail = failed.detail or ""
    said = detail.lower()
    if "couldn't find remote ref" in said:
        return MovedOn(f"a branch of {address} was removed meanwhile", detail=detail, hint="try once more")
    if _any(_NO_ACCESS, said):
        return AccessDenied(
            f"no access to {what} the GitOps repository {address}",
            detail=detail,
            hint="is the token expired, or may it not do that? Log in with a credential helper of git or an SSH key, or"
            " set LOOP_FORGE_TOKEN",
        )
    if _any(_NO_NETWORK, said):
        return RepositoryUnreachable(
            f"cannot reach the GitOps repository {address}",
            detail=detail,
            hint="check the network and `gitops.repository` in loop.yaml; `git ls-remote` shows the same",
        )
    if _any(_NO_REPOSITORY, said):
        return NoRepository(
            f"there is no GitOps repository at {address}, or it is not shown to you",
            detail=detail,
            hint="check `gitops.repository` in loop.yaml, and your access: `git ls-remote` shows both",
        )
    return RepositoryError(f"cannot {what} the GitOps repository {address}", detail=detail)


def refused(address: str, branch: str, failed: ProgramFailed) -> RepositoryError:
    """Why a push did not go through."""
    rejections = [line for line in failed.completed.text.splitlines() if line.startswith("!")]
    if not rejections:
        return unreachable(address, "push to", failed)
    reason = rejections[0].rpartition("\t")[2]
    words = "\n".join(filter(None, [reason, failed.completed.stderr.decode(errors="replace").strip()]))
    said = words.lower()
    if _any(_PROTECTED, said):
        return ProtectedBranch(
            f"branch {branch} of {address} is protected",
            detail=words,
            hint="it is innerloop's own, made anew for each promotion: take it out of the rule, or let the one who"
            " promotes push to it by force",
        )
    # what is below a branch of the same name is no race: it would never end
    if "exists; cannot create" in said or "directory file conflict" in said:
        return PushRefused(
            f"branch {branch} cannot be made in {address}: there is one with a part of its name",
            detail=words,
            hint="remove or rename that branch",
        )
    if _any(_RACE, reason.lower()):
        return MovedOn(f"branch {branch} of {address} was changed meanwhile", detail=words, hint="try once more")
    return PushRefused(f"{address} does not take branch {branch}", detail=words)


def _any(words: Sequence[str], said: str) -> bool:
    return any(word in said for word in words)
