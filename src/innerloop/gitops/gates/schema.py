"""Each object against the schema of its kind: as strict as ``kubectl apply --validate=strict``, without a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from innerloop.config.problems import suggestion
from innerloop.gitops.gates.findings import Finding
from innerloop.gitops.gates.kubernetes import Kind, KindKey, Kubernetes
from innerloop.gitops.gates.parts import mapping
from innerloop.gitops.gates.plain_secret import is_encrypted
from innerloop.gitops.gates.validation import shown, validate
from innerloop.manifest import Manifest

_MOST = 10
"""Problems that are told of one object."""


def findings(
    manifests: Iterable[Manifest], kubernetes: Kubernetes, custom: Mapping[KindKey, Kind]
) -> Iterator[Finding]:
    """One for each problem; ``custom`` are the kinds that are not Kubernetes' own."""
    for manifest in manifests:
        for obj in _objects(manifest.object):
            yield from _of_object(obj, manifest, kubernetes, custom)


def deprecations(manifests: Iterable[Manifest], kubernetes: Kubernetes) -> Iterator[str]:
    """What still works, and will not in a later version: a line for each."""
    for manifest in manifests:
        going = kubernetes.going.get((manifest.api_version, manifest.kind))
        if (
            going is None
            or not going.deprecated <= kubernetes.minor
            or (manifest.api_version, manifest.kind) not in kubernetes.kinds
        ):
            continue
        until = f", gone in 1.{going.removed}" if going.removed else ""
        better = f": use {going.replacement}" if going.replacement else ""
        yield (
            f"{manifest.source}: {manifest.key}: {manifest.api_version} is deprecated since 1.{going.deprecated}"
            f"{until}{better}"
        )


def _objects(obj: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The object itself, or what a list has (the renderer unpacks lists, but for those with a name)."""
    if obj.get("apiVersion") == "v1" and obj.get("kind") == "List" and isinstance(obj.get("items"), list):
        for item in obj["items"]:
            yield from _objects(item) if isinstance(item, dict) else ()
    else:
        yield obj


def _of_object(
    obj: dict[str, Any], manifest: Manifest, kubernetes: Kubernetes, custom: Mapping[KindKey, Kind]
) -> Iterator[Finding]:
    key = str(obj.get("apiVersion", "")), str(obj.get("kind", ""))
    name = f"{key[1]}/{mapping(obj, 'metadata').get('name', '')}"
    kind = kubernetes.kinds.get(key) or custom.get(key)
    if kind is None:
        message, hint = _unknown(key, kubernetes, custom)
        yield Finding("schema", name, message, manifest.source, hint)
        return
    encrypted = is_encrypted(obj)
    if encrypted:
        # taken away, as the encryption is, by whoever applies it
        obj = {field: value for field, value in obj.items() if field != "sops"}
    problems = validate(obj, kind.schema, kubernetes.definitions, encrypted=encrypted)
    for problem in problems[:_MOST]:
        message = f"{shown(problem.path) or 'it'}: {problem.message}"
        yield Finding(
            "schema", name, message, manifest.source, problem.hint or f"see `kubectl explain {key[1].lower()}`"
        )
    if len(problems) > _MOST:
        message = f"{len(problems) - _MOST} more fields are wrong"
        yield Finding("schema", name, message, manifest.source, "mend those above first")


def _unknown(key: KindKey, kubernetes: Kubernetes, custom: Mapping[KindKey, Kind]) -> tuple[str, str]:
    """Message and hint for a kind without a schema."""
    api_version, kind = key
    what = f"{api_version} {kind}"
    others = sorted(version for version, name in (*kubernetes.kinds, *custom) if name == kind)
    going = kubernetes.going.get(key)
    if going and going.removed and going.removed <= kubernetes.minor:
        return f"{what} is gone since Kubernetes 1.{going.removed}", _instead(key, kubernetes, others)
    if key in kubernetes.others:
        first, last = kubernetes.others[key]
        when = f"only since 1.{first}" if first > kubernetes.minor else f"no longer after 1.{last}"
        return f"{kubernetes} does not have {what} ({when})", f"it has {kind} in {', '.join(others)}" if others else ""
    if others:
        return f"there is no {what}", f"{kind} is in {', '.join(others)}"
    group = api_version.rpartition("/")[0]
    siblings = [name for version, name in (*kubernetes.kinds, *custom) if version == api_version]
    if siblings or not group or "." not in group:
        near = suggestion(kind, siblings or {name for _, name in kubernetes.kinds})
        return f"there is no {what}", near if near and near.startswith("did") else "mend its apiVersion and kind"
    hint = "name the file of its CustomResourceDefinition in gitops.schemas, or allow it"
    return f"no schema of {what} is known", hint


def _instead(key: KindKey, kubernetes: Kubernetes, others: list[str]) -> str:
    """The hint for what is gone; a replacement may be gone itself, or be misspelt by Kubernetes."""
    while (going := kubernetes.going.get(key)) and going.replacement:
        api_version, _, kind = going.replacement.partition(" ")
        key = api_version, kind
        if key in kubernetes.kinds:
            return f"use {going.replacement}"
    return f"use {' or '.join(others)}" if others else "nothing takes its place: take it out"
