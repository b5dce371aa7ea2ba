"""The boundary to the HTTP library: its sockets, its responses, its exceptions."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import msgspec

from innerloop.kube.access import Access
from innerloop.kube.errors import ConnectionFailed, KubeConfigError, KubeError, Unauthorized, api_error
from innerloop.kube.lean_aiohttp import aiohttp

# OpenSSL's X509_V_ERR_ numbers (x509_vfy.h)
CERTIFICATE_EXPIRED = 10
HOST_MISMATCHES = (62, 64)

# a peer that vanished (suspended laptop, lost VPN) is noticed after 15 + 3 x 5 s, also where nothing is sent
KEEPALIVE_OPTIONS = (
    ("TCP_KEEPIDLE" if hasattr(socket, "TCP_KEEPIDLE") else "TCP_KEEPALIVE", 15),
    ("TCP_KEEPINTVL", 5),
    ("TCP_KEEPCNT", 3),
    ("TCP_USER_TIMEOUT", 30_000),
)


def open_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket that notices when its peer is gone."""
    family, kind, protocol, *_ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE_OPTIONS:
        if hasattr(socket, name):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return opened


async def check(access: Access, response: aiohttp.ClientResponse) -> None:
    """Raise the error that a response tells of; otherwise leave it unread."""
    if response.status < 300:
        return
    try:
        payload = await response.read()
    except BaseException:
        abort(response)
        raise
    error = api_error(response.status, payload, retry_after=response.headers.get("Retry-After"))
    if isinstance(error, Unauthorized):
        # the server's own word is just "Unauthorized"
        error.message = f"{_server(access)} does not accept the credentials{_of_user(access)}"
    raise error


def abort(response: aiohttp.ClientResponse) -> None:
    """Drop the connection of a response that was not read to its end: TLS would say goodbye in the background,
    for longer than the event loop may live."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


def decoded(access: Access, payload: bytes) -> Any:
    """The JSON value of a response's body, None when it is empty. Raises ConnectionFailed for anything else."""
    if not payload:
        return None
    try:
        return msgspec.json.decode(payload)
    except msgspec.DecodeError as error:
        raise ConnectionFailed(
            f"{_server(access)} does not answer as a Kubernetes API server does",
            detail=str(error),
            hint="check the cluster's server address in the kubeconfig",
        ) from error


async def chunks(access: Access, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """The body as it arrives. Raises ConnectionFailed when it breaks off."""
    with translated(access):
        async for chunk in response.content.iter_any():
            yield chunk


@contextlib.contextmanager
def translated(access: Access) -> Iterator[None]:
    """Turn what the HTTP library, sockets and time limits raise into ConnectionFailed or KubeConfigError."""
    try:
        yield
    except (aiohttp.ClientError, OSError) as error:
        # TimeoutError is an OSError too; the proxy's error would show its URL, password and all
        secret = isinstance(error, aiohttp.ClientHttpProxyError)
        raise _translation(access, error) from (None if secret else error)


def _translation(access: Access, error: aiohttp.ClientError | OSError) -> KubeError:
    server = _server(access)
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return _untrusted(access, error.certificate_error)
        case aiohttp.ClientHttpProxyError():
            return ConnectionFailed(
                f"the proxy before {server} refused: {error.status} {error.message}",
                hint="check proxy-url in the kubeconfig, or HTTPS_PROXY and NO_PROXY",
                sent=False,
            )
        case aiohttp.ClientProxyConnectionError():
            return _unreachable(f"cannot reach the proxy before {server}", error)
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return _unreachable(f"cannot reach {server}", error)
        case aiohttp.WSServerHandshakeError():
            # no ConnectionFailed: it would do the same again
            return KubeError(f"{server} did not open a WebSocket", detail=f"{error.status} {error.message}")
        case TimeoutError():
            return ConnectionFailed(f"{server} gives no answer", detail="timed out", hint=_HINT)
        case _:
            return ConnectionFailed(f"the connection to {server} broke off", detail=_reason(error), hint=_HINT)


_HINT = "check that the cluster runs and that its address is reachable from here (VPN?)"


def _unreachable(message: str, error: Exception) -> ConnectionFailed:
    return ConnectionFailed(message, detail=_reason(error), hint=_HINT, sent=False)


def _untrusted(access: Access, error: Exception) -> KubeConfigError:
    code = getattr(error, "verify_code", 0)
    hint = "fetch the cluster's kubeconfig again: its certificate authority is another one now"
    if code == CERTIFICATE_EXPIRED:
        hint = "renew the API server's certificate"
    elif code in HOST_MISMATCHES:
        hint = "use the address that the certificate names, or set tls-server-name in the kubeconfig"
    reason = getattr(error, "verify_message", "") or str(error)
    return KubeConfigError(f"the certificate of {_server(access)} cannot be trusted", detail=reason, hint=hint)


def _reason(error: Exception) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, ssl.SSLError) and cause.reason:
        return _TLS_REASONS.get(cause.reason) or cause.reason.replace("_", " ").lower()
    if isinstance(cause, OSError) and cause.errno and cause.errno > 0 and not isinstance(cause, ssl.SSLError):
        # asyncio puts words of its own into strerror
        return os.strerror(cause.errno)
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__


# OpenSSL sees the first bytes of another protocol as a version
_TLS_REASONS = {"WRONG_VERSION_NUMBER": "it does not speak TLS: the port or https:// is wrong"}


def _server(access: Access) -> str:
    context = f" (context {access.context})" if access.context else ""
    return f"the API server {access.server}{context}"


def _of_user(access: Access) -> str:
    return f" of user {access.user}" if access.user else ""
