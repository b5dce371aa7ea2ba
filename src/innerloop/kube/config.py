"""The kubeconfig: which clusters there are, and how to reach one. It is never written.

Several files are merged as kubectl does (client-go's clientcmd): the first that names a context, cluster or user
wins, whole; so does the first current context. Relative paths count from the file they stand in.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from innerloop.errors import Location
from innerloop.kube import config_file, in_cluster
from innerloop.kube.access import Access, Impersonation, Secret
from innerloop.kube.config_file import Cluster, ConfigFile, User
from innerloop.kube.config_user import certificate, credentials, impersonation, pem
from innerloop.kube.errors import KubeConfigError

T = TypeVar("T")


class ContextEntry(NamedTuple):
    name: str
    cluster: str
    user: str
    namespace: str
    """Empty where the context names none."""
    source: Path


class ClusterEntry(NamedTuple):
    name: str
    cluster: Cluster
    source: Path


class UserEntry(NamedTuple):
    name: str
    user: User
    source: Path


class KubeConfig(msgspec.Struct, frozen=True):
    """All files together."""

    contexts: dict[str, ContextEntry] = {}
    clusters: dict[str, ClusterEntry] = {}
    users: dict[str, UserEntry] = {}
    current: str = ""
    """Name of the current context, empty when no file tells."""
    files: tuple[Path, ...] = ()
    """Those that were read, strongest first."""
    missing: tuple[Path, ...] = ()


def load(paths: Sequence[Path] | None = None, *, extra: Sequence[Path] = ()) -> KubeConfig:
    """Read and merge ``paths``, by default those of KUBECONFIG, else ``~/.kube/config``; then ``extra``.

    Files of ``paths`` must exist; those that KUBECONFIG names, the default and ``extra`` need not.
    Raises KubeConfigError for a file that cannot be understood.
    """
    config = KubeConfig()
    for path in _distinct([*(_default_paths() if paths is None else paths), *extra]):
        try:
            config = _merged(config, config_file.read(path), path)
        except FileNotFoundError as error:
            if paths is not None and path in paths:
                raise KubeConfigError(f"there is no kubeconfig {path}", hint="check the path") from error
            config = msgspec.structs.replace(config, missing=(*config.missing, path))
    return config


def access(config: KubeConfig, context: str | None = None, *, impersonate: Impersonation | None = None) -> Access:
    """How to reach the cluster of ``context``, by default the current one.

    Without any kubeconfig, inside a pod, it is the cluster that runs the pod. ``impersonate`` outranks what the
    kubeconfig says. Raises KubeConfigError for everything that is missing or contradictory; certificates are
    read, nothing is connected yet.
    """
    if not config.contexts and not context and in_cluster.inside():
        return in_cluster.access(impersonate)
    entry = _context(config, context)
    where = Location(str(entry.source))
    cluster = _cluster(config, entry, where)
    user = _user(config, entry, where)
    source = f"user {entry.user!r} in {user.source}"
    settings = cluster.cluster
    authority = _authority(cluster)
    return Access(
        server=_server(cluster),
        context=entry.name,
        cluster=entry.cluster,
        user=entry.user,
        namespace=entry.namespace or "default",
        source=entry.source,
        ca=authority,
        insecure=settings.insecure_skip_tls_verify,
        server_name=settings.tls_server_name or None,
        proxy=Secret(settings.proxy_url) if settings.proxy_url else None,
        compress=not settings.disable_compression,
        certificate=certificate(user.user, source),
        credentials=credentials(user.user, source, settings, authority),
        impersonate=impersonate or impersonation(user.user, source),
    )


def _default_paths() -> list[Path]:
    listed = os.environ.get("KUBECONFIG", "")
    if listed:
        return [Path(path) for path in listed.split(os.pathsep) if path]
    return [Path.home() / ".kube" / "config"]


def _distinct(paths: Iterable[Path]) -> list[Path]:
    return list(dict.fromkeys(paths))


def _merged(config: KubeConfig, file: ConfigFile, path: Path) -> KubeConfig:
    contexts = [
        ContextEntry(one.name, one.context.cluster, one.context.user, one.context.namespace, path)
        for one in file.contexts
    ]
    clusters = [ClusterEntry(one.name, one.cluster, path) for one in file.clusters]
    users = [UserEntry(one.name, one.user, path) for one in file.users]
    return msgspec.structs.replace(
        config,
        contexts={**_by_name(contexts, "context", path), **config.contexts},
        clusters={**_by_name(clusters, "cluster", path), **config.clusters},
        users={**_by_name(users, "user", path), **config.users},
        current=config.current or file.current_context,
        files=(*config.files, path),
    )


def _by_name(entries: Sequence[T], kind: str, path: Path) -> dict[str, T]:
    named: dict[str, T] = {}
    for entry in entries:
        name: str = entry.name  # type: ignore[attr-defined]  # each of the three entries has one
        if name in named:
            raise KubeConfigError(f"the {kind} {name!r} is there twice", where=Location(str(path)))
        named[name] = entry
    return named


def _context(config: KubeConfig, wanted: str | None) -> ContextEntry:
    if not config.contexts:
        looked = ", ".join(str(path) for path in (*config.files, *config.missing))
        raise KubeConfigError(
            "no kubeconfig names a cluster",
            detail=f"looked in {looked}",
            hint="start a local cluster with `loop cluster up`, or set KUBECONFIG",
        )
    name = wanted or config.current
    if not name:
        raise KubeConfigError(
            "no context is chosen, and the kubeconfig has no current-context",
            hint=f"choose one with `loop use context`: {', '.join(sorted(config.contexts))}",
        )
    if name not in config.contexts:
        files = ", ".join(str(path) for path in config.files)
        raise KubeConfigError(f"there is no context {name!r} in {files}", hint=_suggestion(name, config.contexts))
    return config.contexts[name]


def _suggestion(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(names))}"


def _cluster(config: KubeConfig, entry: ContextEntry, where: Location) -> ClusterEntry:
    if entry.cluster not in config.clusters:
        raise KubeConfigError(
            f"context {entry.name!r} names the cluster {entry.cluster!r}, which no kubeconfig has", where=where
        )
    return config.clusters[entry.cluster]


def _user(config: KubeConfig, entry: ContextEntry, where: Location) -> UserEntry:
    if not entry.user:
        return UserEntry("", User(), entry.source)
    if entry.user not in config.users:
        raise KubeConfigError(
            f"context {entry.name!r} names the user {entry.user!r}, who is in no kubeconfig", where=where
        )
    return config.users[entry.user]


def _server(entry: ClusterEntry) -> str:
    server = entry.cluster.server.rstrip("/")
    where = Location(str(entry.source))
    if not server:
        raise KubeConfigError(f"the cluster {entry.name!r} has no server", where=where)
    if "://" not in server:
        # client-go's default for bare host names
        server = f"http://{server}"
    if not server.startswith(("http://", "https://")) or "@" in server:
        raise KubeConfigError(f"the server of cluster {entry.name!r} is not of the form https://host:port", where=where)
    return server


def _authority(entry: ClusterEntry) -> str | None:
    settings = entry.cluster
    source = f"cluster {entry.name!r} in {entry.source}"
    authority = pem(
        settings.certificate_authority_data, settings.certificate_authority, "certificate-authority", source
    )
    if authority and settings.insecure_skip_tls_verify:
        raise KubeConfigError(
            f"{source} has both a certificate-authority and insecure-skip-tls-verify",
            hint="remove one of them, as kubectl demands too",
        )
    return authority
