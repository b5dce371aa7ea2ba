"""The format of one kubeconfig file (``v1 Config``, k8s.io/client-go/tools/clientcmd/api/v1)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from innerloop.errors import Location
from innerloop.kube.errors import KubeConfigError


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    def __repr__(self) -> str:
        # fields hold tokens and passwords
        return f"<{type(self).__name__}>"


class Extension(_Entry, frozen=True):
    name: str
    extension: Any = None


class Cluster(_Entry, frozen=True, rename="kebab"):
    server: str = ""
    tls_server_name: str = ""
    insecure_skip_tls_verify: bool = False
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    proxy_url: str = ""
    disable_compression: bool = False
    extensions: tuple[Extension, ...] = ()


class EnvironmentVariable(_Entry, frozen=True):
    name: str
    value: str = ""


class Exec(_Entry, frozen=True, rename="camel"):
    command: str = ""
    args: tuple[str, ...] = ()
    env: tuple[EnvironmentVariable, ...] = ()
    api_version: str = ""
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = ""


class User(_Entry, frozen=True, rename="kebab"):
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = msgspec.field(default="", name="tokenFile")
    username: str = ""
    password: str = ""
    as_: str = msgspec.field(default="", name="as")
    as_uid: str = ""
    as_groups: tuple[str, ...] = ()
    as_user_extra: dict[str, tuple[str, ...]] = {}
    auth_provider: dict[str, Any] | None = None
    exec: Exec | None = None


class Context(_Entry, frozen=True):
    cluster: str = ""
    user: str = ""
    namespace: str = ""


class NamedCluster(_Entry, frozen=True):
    name: str
    cluster: Cluster = Cluster()


class NamedUser(_Entry, frozen=True):
    name: str
    user: User = User()


class NamedContext(_Entry, frozen=True):
    name: str
    context: Context = Context()


class ConfigFile(_Entry, frozen=True, rename="kebab"):
    current_context: str = ""
    clusters: tuple[NamedCluster, ...] = ()
    users: tuple[NamedUser, ...] = ()
    contexts: tuple[NamedContext, ...] = ()


def read(path: Path) -> ConfigFile:
    """One file, with relative paths made absolute.

    Raises FileNotFoundError, and KubeConfigError for everything else that is wrong with it.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise KubeConfigError(f"cannot read the kubeconfig {path}", detail=str(error)) from error
    try:
        config = msgspec.convert(_without_nulls(_parse(text, path)) or {}, ConfigFile)
    except msgspec.ValidationError as error:
        raise KubeConfigError("this is not a kubeconfig", where=Location(str(path)), detail=str(error)) from error
    return _located(config, path.absolute().parent)


class _Loader(yaml.CSafeLoader):
    """Leaves dates alone, as Go does: names may look like one."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _parse(text: str, path: Path) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = Location(str(path), mark.line + 1, mark.column + 1) if mark else Location(str(path))
        why = getattr(error, "problem", None) or "not YAML"
        # not chained and not quoted: the lines around may hold a token
        raise KubeConfigError("this kubeconfig is not valid YAML", where=where, detail=why) from None


def _without_nulls(value: Any) -> Any:
    # Go reads null as the zero value: kubectl itself writes `contexts: null`
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value if inner is not None]
    return value


def _located(config: ConfigFile, folder: Path) -> ConfigFile:
    def absolute(path: str) -> str:
        return str(folder / path) if path else ""

    return msgspec.structs.replace(
        config,
        clusters=tuple(_located_cluster(entry, absolute) for entry in config.clusters),
        users=tuple(_located_user(entry, absolute) for entry in config.users),
    )


def _located_cluster(entry: NamedCluster, absolute: Callable[[str], str]) -> NamedCluster:
    authority = absolute(entry.cluster.certificate_authority)
    return NamedCluster(
        name=entry.name, cluster=msgspec.structs.replace(entry.cluster, certificate_authority=authority)
    )


def _located_user(entry: NamedUser, absolute: Callable[[str], str]) -> NamedUser:
    user = entry.user
    plugin = user.exec
    if plugin is not None and "/" in plugin.command:
        # a bare name is looked up on PATH
        plugin = msgspec.structs.replace(plugin, command=absolute(plugin.command))
    located = msgspec.structs.replace(
        user,
        client_certificate=absolute(user.client_certificate),
        client_key=absolute(user.client_key),
        token_file=absolute(user.token_file),
        exec=plugin,
    )
    return NamedUser(name=entry.name, user=located)
