"""Credential plugins: programs that log in for us (``aws eks get-token``, ``kubelogin``, ``gke-gcloud-auth-plugin``).

Protocol ``client.authentication.k8s.io/v1`` (Kubernetes 1.22; v1beta1 is the same but for its defaults),
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins:
the program gets an ExecCredential with ``spec`` in KUBERNETES_EXEC_INFO and prints one with ``status``.
What it prints holds secrets and is never shown.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from innerloop.kube.access import Certificate, ExecPlugin, Secret
from innerloop.kube.errors import KubeConfigError
from innerloop.processes import Completed, run


class PluginCredential(msgspec.Struct, frozen=True, kw_only=True):
    token: Secret | None
    certificate: Certificate | None
    expires: datetime | None

    def expired(self) -> bool:
        return self.expires is not None and self.expires <= datetime.now(UTC)


async def run_plugin(plugin: ExecPlugin) -> PluginCredential:
    """Run the plugin once, with the terminal where it may ask something.

    Raises KubeConfigError when it is missing, fails, or prints something else than a credential.
    """
    interactive = _interactive(plugin)
    program = shutil.which(plugin.command)
    if program is None:
        raise KubeConfigError(
            f"the credential plugin {plugin.command} of {plugin.source} is not on PATH",
            detail=plugin.install_hint.strip() or None,
            hint=f"install {os.path.basename(plugin.command)}, or choose another context",
        )
    environment = {name: value.reveal() for name, value in plugin.env}
    environment["KUBERNETES_EXEC_INFO"] = _exec_info(plugin, interactive)
    argv = [program, *(argument.reveal() for argument in plugin.args)]
    try:
        completed = await (_run_on_terminal if interactive else _run_captured)(argv, environment)
    except OSError as error:
        raise KubeConfigError(
            f"the credential plugin {plugin.command} of {plugin.source} cannot be run", detail=str(error)
        ) from error
    if completed.code:
        raise KubeConfigError(
            f"the credential plugin {plugin.command} of {plugin.source} ended with status {completed.code}",
            detail=completed.stderr.decode(errors="replace").strip() or plugin.install_hint.strip() or None,
            hint="log in with the plugin's own program, or choose another context",
        )
    return _credential(plugin, completed.stdout)


async def _run_captured(argv: list[str], environment: dict[str, str]) -> Completed:
    return await run(argv, env=environment, check=False)


async def _run_on_terminal(argv: list[str], environment: dict[str, str]) -> Completed:
    """With the terminal's keyboard and stderr: the plugin talks to the user itself."""
    process = await asyncio.create_subprocess_exec(
        *argv, env={**os.environ, **environment}, stdin=None, stdout=asyncio.subprocess.PIPE, stderr=None
    )
    try:
        stdout, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Completed(process.returncode or 0, stdout, b"")


def _interactive(plugin: ExecPlugin) -> bool:
    if plugin.interactive == "Never":
        return False
    terminal = sys.stdin is not None and sys.stdin.isatty()
    if plugin.interactive == "Always" and not terminal:
        raise KubeConfigError(
            f"the credential plugin {plugin.command} of {plugin.source} must ask you something, "
            "and standard input is no terminal",
            hint="run the command in a terminal, or log in beforehand with the plugin's own program",
        )
    return terminal


def _exec_info(plugin: ExecPlugin, interactive: bool) -> str:
    spec: dict[str, object] = {"interactive": interactive}
    if plugin.cluster is not None:
        spec["cluster"] = msgspec.Raw(plugin.cluster.reveal().encode())
    info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}
    return msgspec.json.encode(info).decode()


class _Status(msgspec.Struct, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class _ExecCredential(msgspec.Struct, rename="camel"):
    api_version: str
    kind: str
    status: _Status | None = None


def _credential(plugin: ExecPlugin, output: bytes) -> PluginCredential:
    try:
        printed = msgspec.json.decode(output, type=_ExecCredential)
    except msgspec.DecodeError:
        # not chained and not quoted: the output may hold a token
        raise _unusable(plugin, "what it printed is not an ExecCredential in JSON") from None
    if printed.kind != "ExecCredential" or printed.api_version != plugin.api_version:
        wanted = f"{plugin.api_version} ExecCredential"
        raise _unusable(plugin, f"it printed {printed.api_version} {printed.kind}, the kubeconfig wants {wanted}")
    status = printed.status
    if status is None or not (status.token or status.client_certificate_data):
        raise _unusable(plugin, "it printed neither a token nor a client certificate")
    if bool(status.client_certificate_data) != bool(status.client_key_data):
        raise _unusable(plugin, "it printed a client certificate without key, or a key without certificate")
    certificate = None
    if status.client_certificate_data and status.client_key_data:
        source = f"the credential plugin {plugin.command}"
        certificate = Certificate(status.client_certificate_data, Secret(status.client_key_data), source)
    token = Secret(status.token) if status.token else None
    return PluginCredential(token=token, certificate=certificate, expires=status.expiration_timestamp)


def _unusable(plugin: ExecPlugin, why: str) -> KubeConfigError:
    return KubeConfigError(
        f"the credential plugin {plugin.command} of {plugin.source} gave no usable credentials",
        detail=why,
        hint="update the plugin, or mend apiVersion in the kubeconfig's exec section",
    )
