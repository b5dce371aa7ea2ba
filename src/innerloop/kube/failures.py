"""Why a stream into a container failed, read from the words of kubelet and container runtimes.

Kubernetes passes their texts on with status 500 whatever the reason, so the text is all there is. The texts are
those of containerd 1.6–2.x and CRI-O with runc and crun.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from innerloop.kube.channels import Status
from innerloop.kube.errors import KubeError


class CommandNotStarted(KubeError):
    """The container has no such program, or cannot run it.

    ``exit_code`` is what a shell would give: 127 not found, 126 not executable.
    """

    def __init__(self, message: str, *, exit_code: int, detail: str | None = None) -> None:
        super().__init__(message, detail=detail)
        self.exit_code = exit_code


class ContainerNotRunning(KubeError):
    """The container has not started yet, ended, or is gone with its pod."""


class PortForwardError(KubeError):
    """The connection into a pod could not be made, or broke off on the container's side."""

    def __init__(self, message: str, *, refused: bool, detail: str | None = None) -> None:
        super().__init__(message, detail=detail)
        self.refused = refused
        """Nothing was listening: not one byte reached the container, so the same may be sent again."""


def exec_failure(status: Status, pod: str, container: str, command: Sequence[str]) -> KubeError:
    """The error of a command that did not run to an exit code."""
    found = known_failure(status.message, pod, container, command)
    detail = _stripped(status.message) or status.reason
    return found or KubeError(f"the stream to container {container} of pod {pod} failed", detail=detail)


def known_failure(message: str, pod: str, container: str, command: Sequence[str]) -> KubeError | None:
    """The error that a text tells of, None when nothing in it is known."""
    text = _stripped(message)
    if _NOT_RUNNING.search(text):
        return ContainerNotRunning(f"container {container} of pod {pod} is not running", detail=text)
    if not _NOT_STARTED.search(text):
        return None
    # after its last "exec failed:" the runtime says what and why, without its own call stack
    reason = re.sub(r"^.*(?:exec failed|process|crun): ", "", text, flags=re.DOTALL).removesuffix(": unknown")
    return CommandNotStarted(
        f"cannot run {command[0] if command else 'the command'} in container {container} of pod {pod}",
        exit_code=127 if _NOT_FOUND.search(text) else 126,
        detail=reason,
    )


def port_failure(text: str, pod: str, port: int) -> PortForwardError:
    """The error of a forwarded connection, from what came over its error channel."""
    if _REFUSED.search(text):
        return PortForwardError(f"nothing listens on port {port} in pod {pod}", refused=True)
    return PortForwardError(f"the connection to port {port} of pod {pod} broke off", refused=False, detail=_last(text))


_NOT_RUNNING = re.compile(
    # kubelet; CRI runtimes; a container that ended between the two
    r"container not found|no running task found|container .*not running|cannot exec in a (?:stopped|deleted)|"
    r"container is in CONTAINER_\w+ state|container is not created or running|pod does not exist|"
    r"can not find the container|process does not exist",
    re.IGNORECASE,
)
_NOT_STARTED = re.compile(r"exec failed|unable to start container process|crun: |starting container process caused")
_NOT_FOUND = re.compile(
    r"not found in \$PATH|exec: .*no such file or directory|stat .*no such file or directory", re.IGNORECASE
)
_REFUSED = re.compile(r"connection refused|failed to connect to localhost", re.IGNORECASE)


def _stripped(text: str) -> str:
    layers = r"the API server answered \d+|Internal error occurred|error executing command in container"
    return re.sub(rf"^(?:(?:{layers}): )+", "", text).strip()


def _last(text: str) -> str:
    """The innermost reason of a Go error chain."""
    return text.strip().rpartition("uid : ")[2] or text.strip()
