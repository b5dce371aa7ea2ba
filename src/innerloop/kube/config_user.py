"""How a kubeconfig's user logs in."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

import msgspec

from innerloop.kube.access import (
    Basic,
    Certificate,
    CredentialSource,
    ExecPlugin,
    Impersonation,
    Secret,
    Token,
    TokenFile,
)
from innerloop.kube.config_file import Cluster, Exec, User
from innerloop.kube.errors import KubeConfigError

EXEC_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
EXEC_EXTENSION = "client.authentication.k8s.io/exec"
INTERACTIVE_MODES = ("Never", "IfAvailable", "Always")


def pem(data: str, path: str, field: str, source: str) -> str | None:
    """PEM text from ``field``-data or the file of ``field``; data wins, as in kubectl.

    Raises KubeConfigError when either cannot be read.
    """
    if data:
        try:
            return base64.b64decode("".join(data.split()), validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise KubeConfigError(
                f"{field}-data of {source} is not base64 of a PEM file", hint="fetch the kubeconfig again"
            ) from error
    if not path:
        return None
    try:
        return Path(path).read_text("ascii")
    except FileNotFoundError as error:
        raise KubeConfigError(
            f"{field} of {source} does not exist: {path}", hint="fetch the kubeconfig again, or mend the path"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise KubeConfigError(f"cannot read {field} of {source}: {path}", detail=str(error)) from error


def certificate(user: User, source: str) -> Certificate | None:
    """The client certificate, None where the user has none. Raises KubeConfigError when it cannot be read."""
    chain = pem(user.client_certificate_data, user.client_certificate, "client-certificate", source)
    if chain is None:
        return None
    key = pem(user.client_key_data, user.client_key, "client-key", source)
    if key is None:
        raise KubeConfigError(f"{source} has a client-certificate, but no client-key")
    return Certificate(chain, Secret(key), source)


def credentials(user: User, source: str, cluster: Cluster, authority: str | None) -> CredentialSource | None:
    """Token, password or plugin, None where the user has none.

    Raises KubeConfigError for contradictions and for what is no longer supported.
    """
    if user.token and user.username:
        raise KubeConfigError(f"{source} has both a token and a username", hint="remove one, as kubectl demands too")
    # client-go: a token file outranks the token, which is only its first value; a plugin comes last
    if user.token_file:
        return TokenFile(Path(user.token_file))
    if user.token:
        return Token(Secret(user.token))
    if user.username:
        return Basic(user.username, Secret(user.password))
    if user.exec is not None:
        return _plugin(user.exec, source, cluster, authority)
    if user.auth_provider is not None:
        raise KubeConfigError(
            f"{source} logs in by auth-provider {user.auth_provider.get('name')!r}, which is not supported",
            hint="use the provider's credential plugin (an exec section)",
        )
    return None


def impersonation(user: User, source: str) -> Impersonation | None:
    """Whom to act as. Raises KubeConfigError when groups are told, but no user."""
    if user.as_:
        return Impersonation(user.as_, user.as_groups, user.as_uid, user.as_user_extra)
    if user.as_groups or user.as_uid or user.as_user_extra:
        raise KubeConfigError(f"{source} impersonates groups, a uid or extra fields, but no user", hint="add `as`")
    return None


def _plugin(plugin: Exec, source: str, cluster: Cluster, authority: str | None) -> ExecPlugin:
    if not plugin.command:
        raise KubeConfigError(f"the exec section of {source} has no command")
    if plugin.api_version not in EXEC_VERSIONS:
        raise KubeConfigError(
            f"the exec section of {source} has the apiVersion {plugin.api_version!r}",
            hint=f"update the plugin, then use {EXEC_VERSIONS[0]}",
        )
    mode = plugin.interactive_mode
    if not mode and plugin.api_version == EXEC_VERSIONS[0]:
        raise KubeConfigError(f"the exec section of {source} lacks interactiveMode, which v1 requires")
    if mode and mode not in INTERACTIVE_MODES:
        raise KubeConfigError(f"interactiveMode of {source} is {mode!r}, not one of {', '.join(INTERACTIVE_MODES)}")
    return ExecPlugin(
        api_version=plugin.api_version,
        command=plugin.command,
        args=tuple(Secret(argument) for argument in plugin.args),
        env=tuple((variable.name, Secret(variable.value)) for variable in plugin.env),
        interactive=mode or "IfAvailable",
        install_hint=plugin.install_hint,
        cluster=_cluster_info(cluster, authority) if plugin.provide_cluster_info else None,
        source=source,
    )


def _cluster_info(cluster: Cluster, authority: str | None) -> Secret:
    """``spec.cluster`` of an ExecCredential, zero values left out as in Go."""
    config = next((one.extension for one in cluster.extensions if one.name == EXEC_EXTENSION), None)
    info = {
        "server": cluster.server,
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
        "certificate-authority-data": base64.b64encode(authority.encode()).decode() if authority else "",
        "proxy-url": cluster.proxy_url,
        "disable-compression": cluster.disable_compression,
        "config": config,
    }
    return Secret(msgspec.json.encode({name: value for name, value in info.items() if value}).decode())
