"""What is to be applied, checked against the kinds that the cluster has before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from innerloop.deploy import records
from innerloop.deploy.ordering import Phase, phase
from innerloop.deploy.records import Identity
from innerloop.errors import Location, LoopError
from innerloop.kube import discovery
from innerloop.kube.client import Client
from innerloop.kube.errors import UnknownKind
from innerloop.manifest import Manifest, ObjectKey


class Planned(NamedTuple):
    """An object as it will be applied."""

    key: ObjectKey
    object: dict[str, Any]
    source: str
    phase: Phase
    hash: str

    @property
    def identity(self) -> Identity:
        return records.identity(self.key)


async def plan(client: Client, manifests: Iterable[Manifest], namespace: str) -> list[Planned]:
    """Copies of the manifests with their namespaces; ``namespace`` is for those that name none.

    Raises LoopError for what can't be applied: incomplete manifests, kinds that the cluster does not know and that
    no CustomResourceDefinition among the manifests brings, two manifests for one object.
    """
    manifests = list(manifests)
    problems = [problem for manifest in manifests if (problem := _incomplete(manifest))]
    scopes = {**(await _scopes(client, manifests, problems)), **_brought(manifests)} if not problems else {}
    planned = [
        _planned(manifest, namespace, namespaced=scopes[manifest.api_version, manifest.kind])
        for manifest in manifests
        if (manifest.api_version, manifest.kind) in scopes
    ]
    problems += _doubles(planned)
    if problems:
        raise _refusal(problems)
    return planned


async def _scopes(client: Client, manifests: list[Manifest], problems: list[LoopError]) -> dict[tuple[str, str], bool]:
    """For each kind whether it has namespaces; kinds that are nowhere known are added to ``problems``."""
    scopes = {}
    brought = _brought(manifests)
    first_of = {(manifest.api_version, manifest.kind): manifest for manifest in reversed(manifests)}
    for (api_version, kind), manifest in reversed(first_of.items()):
        if (api_version, kind) in brought:
            continue
        try:
            scopes[api_version, kind] = (await discovery.resource(client, api_version, kind)).namespaced
        except UnknownKind as error:
            problems.append(LoopError(error.message, where=_where(manifest.source), hint=error.hint))
    return scopes


def _brought(manifests: list[Manifest]) -> dict[tuple[str, str], bool]:
    """The kinds that CustomResourceDefinitions among the manifests define."""
    kinds = {}
    for manifest in manifests:
        if phase(manifest.key.group, manifest.kind) is not Phase.DEFINITIONS:
            continue
        spec = manifest.object.get("spec") or {}
        for version in spec.get("versions") or []:
            if version.get("served", True):
                api_version = f"{spec.get('group')}/{version.get('name')}"
                kinds[api_version, (spec.get("names") or {}).get("kind", "")] = spec.get("scope") == "Namespaced"
    return kinds


def _planned(manifest: Manifest, namespace: str, *, namespaced: bool) -> Planned:
    metadata = {name: value for name, value in manifest.metadata.items() if name != "namespace"}
    if namespaced:
        metadata["namespace"] = manifest.namespace or namespace
    object = {**manifest.object, "metadata": metadata}
    key = manifest.key._replace(namespace=metadata.get("namespace", ""))
    return Planned(key, object, manifest.source, phase(key.group, key.kind), records.manifest_hash(object))


def _incomplete(manifest: Manifest) -> LoopError | None:
    where = _where(manifest.source)
    missing = [name for name in ("apiVersion", "kind") if not manifest.object.get(name)]
    if missing:
        return LoopError(f"a manifest lacks {' and '.join(missing)}", where=where)
    if manifest.name:
        return None
    if manifest.metadata.get("generateName"):
        hint = "give it a name: an object whose name the cluster makes up can be neither found again nor removed"
        return LoopError(f"a {manifest.kind} has generateName only", where=where, hint=hint)
    return LoopError(f"a {manifest.kind} lacks metadata.name", where=where)


def _doubles(planned: list[Planned]) -> Iterator[LoopError]:
    first: dict[Identity, Planned] = {}
    for one in planned:
        before = first.setdefault(one.identity, one)
        if before is not one:
            there = f", first in {before.source}" if before.source else ""
            yield LoopError(f"{one.key} comes twice{there}", where=_where(one.source))


def _refusal(problems: list[LoopError]) -> LoopError:
    if len(problems) == 1:
        return problems[0]
    lines = [f"{problem}{f' ({problem.hint})' if problem.hint else ''}" for problem in problems]
    return LoopError(f"{len(problems)} manifests can't be applied; nothing was changed", detail="\n".join(lines))


def _where(source: str) -> Location | None:
    return Location(source) if source else None
