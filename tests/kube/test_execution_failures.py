"""What runtimes say when a stream fails, as they say it."""

from __future__ import annotations

import pytest

from innerloop.kube.channels import Status
from innerloop.kube.errors import KubeError
from innerloop.kube.failures import CommandNotStarted, ContainerNotRunning, exec_failure, known_failure, port_failure

RUNC = (
    "Internal error occurred: Internal error occurred: error executing command in container: failed to exec in "
    'container: failed to start exec "409c": OCI runtime exec failed: exec failed: unable to start container process: '
)
CRUN = "error executing command in container: exec failed with exit code 1: crun: "


@pytest.mark.parametrize(
    ("text", "exit_code", "reason"),
    [
        (
            RUNC + 'exec: "nope": executable file not found in $PATH: unknown',
            127,
            'exec: "nope": executable file not found in $PATH',
        ),
        (
            RUNC + 'exec: "/x": stat /x: no such file or directory: unknown',
            127,
            'exec: "/x": stat /x: no such file or directory',
        ),
        (RUNC + 'exec: "/etc": permission denied: unknown', 126, 'exec: "/etc": permission denied'),
        (
            RUNC + 'chdir to cwd ("/app") set in config.json failed: no such file or directory: unknown',
            126,
            'chdir to cwd ("/app") set in config.json failed: no such file or directory',
        ),
        (
            CRUN + "executable file `nope` not found in $PATH: No such file or directory",
            127,
            "executable file `nope` not found in $PATH: No such file or directory",
        ),
    ],
)
def test_command_that_cannot_start(text: str, exit_code: int, reason: str) -> None:
    error = exec_failure(Status(None, text), "web-1", "app", ["nope"])
    assert isinstance(error, CommandNotStarted)
    assert (error.exit_code, error.detail) == (exit_code, reason)


@pytest.mark.parametrize(
    "text",
    [
        'the API server answered 500: container not found ("app")',
        'unable to upgrade connection: container not found ("app")',
        "failed to exec in container: failed to load task: no running task found: task 5d5f not found: not found",
        "failed to exec in container: container is in CONTAINER_EXITED state",
        RUNC + "cannot exec in a stopped container: unknown",
    ],
)
def test_container_that_does_not_run(text: str) -> None:
    error = exec_failure(Status(None, text), "web-1", "app", ["sh"])
    assert isinstance(error, ContainerNotRunning)
    assert error.message == "container app of pod web-1 is not running"


def test_unknown_words_are_kept() -> None:
    error = exec_failure(Status(None, "Internal error occurred: the moon is full"), "web-1", "app", ["sh"])
    assert type(error) is KubeError
    assert error.detail == "the moon is full"
    assert known_failure("the moon is full", "web-1", "app", ["sh"]) is None


def test_refused_connection() -> None:
    text = (
        "error forwarding port 81 to pod 5d5f, uid : failed to execute portforward in network namespace "
        '"/var/run/netns/cni-1": failed to connect to localhost:81 inside namespace "5d5f", IPv4: dial tcp4 '
        "127.0.0.1:81: connect: connection refused IPv6 dial tcp6: address localhost: no suitable address found "
    )
    error = port_failure(text, "web-1", 81)
    assert error.refused
    assert error.message == "nothing listens on port 81 in pod web-1"


def test_connection_broken_by_the_container() -> None:
    text = "error forwarding port 81 to pod 5d5f, uid : read tcp4 127.0.0.1:1->127.0.0.1:81: read: connection reset"
    error = port_failure(text, "web-1", 81)
    assert not error.refused
    assert error.detail == "read tcp4 127.0.0.1:1->127.0.0.1:81: read: connection reset"
