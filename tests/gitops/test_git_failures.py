"""What git and the servers say, and which error that is."""

from __future__ import annotations

import pytest

from innerloop.gitops.repository.git import (
    AccessDenied,
    MovedOn,
    NoRepository,
    ProtectedBranch,
    PushRefused,
    RepositoryUnreachable,
    refused,
    unreachable,
)
from innerloop.processes import Completed, ProgramFailed

ADDRESS = "https://example.com/ops.git"

READING = {
    "fatal: unable to access 'https://example.com/': Could not resolve host: example.com": RepositoryUnreachable,
    "fatal: unable to access 'https://example.com/': Failed to connect to example.com port 443": RepositoryUnreachable,
    "ssh: connect to host example.com port 22: Connection refused\nfatal: Could not read from remote repository.": (
        RepositoryUnreachable
    ),
    "error: RPC failed; HTTP 502\nfatal: the remote end hung up unexpectedly": RepositoryUnreachable,
    "fatal: unable to access 'https://example.com/': The requested URL returned error: 503": RepositoryUnreachable,
    "fatal: Authentication failed for 'https://example.com/ops.git/'": AccessDenied,
    "fatal: could not read Username for 'https://example.com': terminal prompts disabled": AccessDenied,
    "git@example.com: Permission denied (publickey).\nfatal: Could not read from remote repository.": AccessDenied,
    "Host key verification failed.\nfatal: Could not read from remote repository.": AccessDenied,
    "remote: Write access to repository not granted.\nfatal: ... The requested URL returned error: 403": AccessDenied,
    "remote: Repository not found.\nfatal: repository 'https://example.com/ops.git/' not found": NoRepository,
    "remote: The project you were looking for could not be found or you don't have permission.": NoRepository,
    "remote: TF401019: The Git repository with name or identifier ops does not exist or you lack": NoRepository,
    "fatal: '/nothing' does not appear to be a git repository": NoRepository,
    "fatal: couldn't find remote ref refs/heads/loop/stage/vote": MovedOn,
}
PUSHING = {
    ("[rejected] (stale info)", ""): MovedOn,
    ("[rejected] (fetch first)", ""): MovedOn,
    ("[remote rejected] (cannot lock ref 'refs/heads/x': is at 1 but expected 2)", ""): MovedOn,
    ("[remote rejected] (protected branch hook declined)", "remote: error: GH006: Protected branch"): ProtectedBranch,
    ("[remote rejected] (pre-receive hook declined)", "remote: GitLab: You are not allowed to force push code to a"): (
        ProtectedBranch
    ),
    ("[remote rejected] (TF402455: Pushes to this branch are not permitted)", ""): ProtectedBranch,
    ("[remote rejected] (cannot lock ref 'x/y': 'x' exists; cannot create 'x/y')", ""): PushRefused,
    ("[remote rejected] (pre-receive hook declined)", "remote: no ticket in the message"): PushRefused,
}


@pytest.mark.parametrize(("said", "kind"), READING.items())
def test_why_a_repository_could_not_be_read(said: str, kind: type[Exception]) -> None:
    found = unreachable(ADDRESS, "read", ProgramFailed(["git"], Completed(128, b"", said.encode())))
    assert type(found) is kind


@pytest.mark.parametrize(("said", "kind"), PUSHING.items())
def test_why_a_push_was_refused(said: tuple[str, str], kind: type[Exception]) -> None:
    reason, words = said
    output = f"To {ADDRESS}\n!\tabc:refs/heads/x\t{reason}\nDone\n"
    found = refused(ADDRESS, "x", ProgramFailed(["git"], Completed(1, output.encode(), words.encode())))
    assert type(found) is kind


def test_a_push_that_did_not_come_through_is_one_to_an_unreachable_server() -> None:
    failed = ProgramFailed(
        ["git"], Completed(128, b"", b"fatal: unable to access: Could not resolve host: example.com")
    )
    assert type(refused(ADDRESS, "x", failed)) is RepositoryUnreachable
