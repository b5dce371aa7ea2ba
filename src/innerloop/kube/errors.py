"""What a Kubernetes API answers when it does not do what was asked.

    KubeError
    ├── KubeConfigError          kubeconfig, certificates, credential plugins
    ├── ConnectionFailed         no answer, or it broke off
    ├── UnknownKind              the server has no such resource
    └── ApiError                 the server's own words (status, reason, body)
        ├── Unauthorized         401
        ├── Forbidden            403
        ├── NotFound             404
        ├── Conflict             409, with the fields that others own
        ├── Gone                 410, expired resource version or continue token
        ├── Invalid              400 and 422
        ├── TooManyRequests      429
        └── ServerError          5xx

No exception of the HTTP library leaves the package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from innerloop.errors import LoopError


class KubeError(LoopError):
    """Base of all errors of this package."""


class KubeConfigError(KubeError):
    """How to reach a cluster, or how to log in, is not told in a way that works."""


class ConnectionFailed(KubeError):
    """The API server gave no answer, or the connection broke off before its end."""

    def __init__(self, message: str, *, detail: str | None = None, hint: str | None = None, sent: bool = True) -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.sent = sent
        """False when the request certainly never reached the server, so that any request may be repeated."""


class UnknownKind(KubeError):
    """The server has no resource of this API version and kind."""


class ApiError(KubeError):
    """The server refused. ``reason`` is its machine-readable word (``NotFound``, ``AlreadyExists``)."""

    def __init__(self, status: int, reason: str, body: Mapping[str, Any], *, retry_after: float | None = None) -> None:
        super().__init__(
            str(body.get("message") or f"the API server answered {status} {reason}".rstrip()),
            detail=_causes_text(body),
            hint=_HINTS.get(status),
        )
        self.status = status
        self.reason = reason
        self.body = body
        """The server's Status object (``meta/v1``), empty when it sent something else."""
        self.retry_after = retry_after
        """Seconds after which the server wants to be asked again."""

    @property
    def causes(self) -> list[dict[str, str]]:
        """``details.causes``: each with ``reason``, ``message`` and mostly ``field``."""
        return list((self.body.get("details") or {}).get("causes") or [])


class Unauthorized(ApiError):
    pass


class Forbidden(ApiError):
    def __init__(self, status: int, reason: str, body: Mapping[str, Any], *, retry_after: float | None = None) -> None:
        super().__init__(status, reason, body, retry_after=retry_after)
        self.anonymous = '"system:anonymous"' in self.message
        """Whether the request came without credentials."""
        if self.anonymous:
            self.hint = "the kubeconfig has no credentials for this cluster: log in, or choose another context"


class NotFound(ApiError):
    pass


class Invalid(ApiError):
    pass


class Gone(ApiError):
    pass


class TooManyRequests(ApiError):
    pass


class ServerError(ApiError):
    pass


class FieldConflict(NamedTuple):
    """A field that somebody else applied, e.g. ``.spec.replicas`` of ``kubectl-client-side-apply``."""

    field: str
    manager: str


class Conflict(ApiError):
    """Somebody else changed the object, or owns fields of it."""

    @property
    def conflicts(self) -> tuple[FieldConflict, ...]:
        """Fields owned by other managers; empty when the conflict is of another nature."""
        return tuple(
            FieldConflict(cause.get("field", ""), _manager(cause.get("message", "")))
            for cause in self.causes
            if cause.get("reason") == "FieldManagerConflict"
        )


_CLASSES: dict[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}

_HINTS = {
    401: "log in to the cluster again, or choose another context",
    403: "ask who runs the cluster for these rights, or choose another context or namespace",
}


def api_error(status: int, payload: bytes, *, retry_after: str | None = None) -> ApiError:
    """The error of a response: its class by ``status``, its words from the Status object in ``payload``."""
    body = _status_object(payload)
    reason = str(body.get("reason") or "")
    kind = _CLASSES.get(status, ServerError if status >= 500 else ApiError)
    if not body.get("message") and (text := payload.decode(errors="replace").strip()):
        # proxies and load balancers answer with pages of their own
        body = {**body, "message": f"the API server answered {status}: {text.splitlines()[0][:300]}"}
    return kind(status, reason, body, retry_after=_seconds(retry_after, body))


def status_error(body: Mapping[str, Any]) -> ApiError:
    """The error of a Status object that came inside a watch."""
    status = int(body.get("code") or 500)
    return api_error(status, msgspec.json.encode(body))


def _status_object(payload: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(payload)
    except msgspec.DecodeError:
        return {}
    return body if isinstance(body, dict) and body.get("kind") == "Status" else {}


def _seconds(header: str | None, body: Mapping[str, Any]) -> float | None:
    # Kubernetes only sends the header's form in seconds, and repeats it in details.retryAfterSeconds
    if header and header.strip().isdigit():
        return float(header)
    seconds = (body.get("details") or {}).get("retryAfterSeconds")
    return float(seconds) if seconds else None


def _causes_text(body: Mapping[str, Any]) -> str | None:
    message = str(body.get("message") or "")
    causes = (body.get("details") or {}).get("causes") or []
    lines = [": ".join(filter(None, (cause.get("field"), cause.get("message")))) for cause in causes]
    # a single cause is always part of the message already
    return "\n".join(lines) if len(lines) > 1 or (lines and lines[0] not in message) else None


def _manager(message: str) -> str:
    # 'conflict with "helm" using apps/v1', 'conflict with "hpa" with subresource "scale" using …' (since 1.18)
    found = re.match(r'conflicts? with "((?:[^"\\]|\\.)*)"', message)
    return found[1] if found else ""
