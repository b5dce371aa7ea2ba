"""Everything that is needed to talk to one cluster as one user."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Secret:
    """A string that never shows in reprs, logs or error texts."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"


class Certificate(msgspec.Struct, frozen=True):
    """A client certificate with its key, both PEM."""

    chain: str
    key: Secret
    source: str = ""
    """The file they were named in; for messages."""


class Token(msgspec.Struct, frozen=True):
    value: Secret


class TokenFile(msgspec.Struct, frozen=True):
    """A token that something else renews on disk: a projected service account token, a login tool's."""

    path: Path


class Basic(msgspec.Struct, frozen=True):
    username: str
    password: Secret


class ExecPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """A program that prints credentials: ``client.authentication.k8s.io/v1`` or ``v1beta1``."""

    api_version: str
    command: str
    args: tuple[Secret, ...] = ()
    """Secret, for some login tools take passwords here."""
    env: tuple[tuple[str, Secret], ...] = ()
    interactive: str = "IfAvailable"
    """``Never``, ``IfAvailable`` or ``Always``."""
    install_hint: str = ""
    cluster: Secret | None = None
    """``spec.cluster`` of KUBERNETES_EXEC_INFO, in JSON, where the user asked for ``provideClusterInfo``."""
    source: str = ""
    """The kubeconfig and user that ask for it; for messages."""


CredentialSource = Token | TokenFile | Basic | ExecPlugin


class Impersonation(msgspec.Struct, frozen=True):
    """Act as someone else, where the user has the right to (``Impersonate-*`` headers)."""

    user: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, tuple[str, ...]] = {}


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster, one user, one default namespace."""

    server: str
    """``https://host:port/path`` without a slash at the end."""
    context: str = ""
    """Name of the context, empty inside a pod."""
    cluster: str = ""
    user: str = ""
    namespace: str = "default"
    source: Path | None = None
    """The kubeconfig that has the context."""
    ca: str | None = None
    """PEM of the authorities that may sign the server's certificate; None: those of the system."""
    insecure: bool = False
    """Do not verify the server's certificate."""
    server_name: str | None = None
    """What the server's certificate must name, where that is not the host of ``server``."""
    proxy: Secret | None = None
    """URL of an HTTP proxy; secret because it may hold a password."""
    compress: bool = True
    certificate: Certificate | None = None
    credentials: CredentialSource | None = None
    impersonate: Impersonation | None = None
