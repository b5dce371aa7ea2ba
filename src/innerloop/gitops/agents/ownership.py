"""Who applies an object, by what is written on it: pure rules over objects as the API returns them.

Flux writes labels on all that it applies; Argo CD an annotation with the object's own name in it (since 3.0; before,
and where it is configured so, a label that other tools write too). An agent's own objects carry the same marks when
another one applies them, and an Application names the ApplicationSet that generates it as its owner.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from innerloop.manifest import ObjectKey

Object = dict[str, Any]

ARGO = "argoproj.io"
KUSTOMIZE = "kustomize.toolkit.fluxcd.io"
HELM = "helm.toolkit.fluxcd.io"

TRACKING = "argocd.argoproj.io/tracking-id"
INSTANCE_LABELS = ("argocd.argoproj.io/instance", "app.kubernetes.io/instance")
ARGO_MANAGERS = frozenset({"argocd-controller", "argocd-application-controller"})
"""Field managers of its syncs; the second since 3.1, where an Application says so."""
FLUX_MANAGERS = frozenset({"kustomize-controller", "helm-controller"})
MANAGERS = ARGO_MANAGERS | FLUX_MANAGERS


class Kind(NamedTuple):
    """A kind of object that applies others."""

    group: str
    kind: str
    agent: str


APPLICATION = Kind(ARGO, "Application", "Argo CD")
APPLICATION_SET = Kind(ARGO, "ApplicationSet", "Argo CD")
KUSTOMIZATION = Kind(KUSTOMIZE, "Kustomization", "Flux")
HELM_RELEASE = Kind(HELM, "HelmRelease", "Flux")
FLUX_KINDS = (KUSTOMIZATION, HELM_RELEASE)
KINDS = (APPLICATION, APPLICATION_SET, *FLUX_KINDS)


class Target(NamedTuple):
    """An object as agents name it: without the version of its API."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


class Claim(NamedTuple):
    """What an object says of the one that applies it."""

    kind: Kind
    namespace: str
    """Empty where it is not said: an Application is then looked for in all of them."""
    name: str
    sure: bool
    """Whether only the agent writes this; else its own list of what it applies has to confirm it."""

    def __str__(self) -> str:
        return f"{self.kind.agent}'s {self.kind.kind} {self.name}"


def target(key: ObjectKey) -> Target:
    return Target(key.group, key.kind, key.namespace, key.name)


def target_of(object: Object) -> Target:
    return target(key_of(object))


def key_of(object: Object) -> ObjectKey:
    metadata = object["metadata"]
    return ObjectKey(object["apiVersion"], object["kind"], metadata.get("namespace") or "", metadata["name"])


def kind_of(object: Object) -> Kind | None:
    """Which kind of applier an object is, None for all others."""
    found = target_of(object)
    return next((kind for kind in KINDS if (kind.group, kind.kind) == (found.group, found.kind)), None)


def claims(about: Target, metadata: Object) -> tuple[Claim, ...]:
    """Who applies an object, by its metadata; marks that were copied from another object do not count."""
    return tuple(dict.fromkeys([*_flux(metadata), *_argo(about, metadata), *_application_sets(about, metadata)]))


def _flux(metadata: Object) -> Iterator[Claim]:
    labels = metadata.get("labels") or {}
    for kind in FLUX_KINDS:
        name, namespace = labels.get(f"{kind.group}/name"), labels.get(f"{kind.group}/namespace")
        if name and namespace:
            # copied with the object they would mean the same, but the list of what is applied lacks the copy
            yield Claim(kind, namespace, name, sure=kind is HELM_RELEASE)


def _argo(about: Target, metadata: Object) -> Iterator[Claim]:
    tracked = tracking((metadata.get("annotations") or {}).get(TRACKING, ""))
    if tracked is not None:
        namespace, name, tracks = tracked
        if tracks == about:
            yield Claim(APPLICATION, namespace, name, sure=True)
        return
    if not managers(metadata) & ARGO_MANAGERS:
        return
    labels = metadata.get("labels") or {}
    names = [labels[label] for label in INSTANCE_LABELS if labels.get(label)]
    if names:
        yield Claim(APPLICATION, "", names[0], sure=False)


def _application_sets(about: Target, metadata: Object) -> Iterator[Claim]:
    if (about.group, about.kind) != (ARGO, "Application"):
        return
    for owner in metadata.get("ownerReferences") or []:
        if owner.get("kind") == "ApplicationSet" and str(owner.get("apiVersion", "")).startswith(f"{ARGO}/"):
            yield Claim(APPLICATION_SET, about.namespace, owner["name"], sure=True)


def tracking(text: str) -> tuple[str, str, Target] | None:
    """Namespace and name of the Application, and what a tracking id is about: ``app:group/Kind:namespace/name``.

    Applications outside Argo CD's own namespace are told as ``namespace_app``.
    """
    found = re.fullmatch(r"([^:]+):([^/:]*)/([^:]+):([^/]*)/(.+)", text)
    if found is None:
        return None
    app, group, kind, namespace, name = found.groups()
    # names of objects have no underscores
    before, _, app = app.rpartition("_")
    return before, app, Target(group, kind, namespace, name)


def managers(metadata: Object) -> frozenset[str]:
    """All that ever wrote fields that are still there."""
    return frozenset(one.get("manager", "") for one in metadata.get("managedFields") or [])


def confirms(applier: Object, about: Target) -> bool:
    """Whether an Application or Kustomization lists an object among what it applies; True where there is no list."""
    status = applier.get("status") or {}
    match kind_of(applier):
        case kind if kind == APPLICATION:
            return any(_resource(one) == about for one in status.get("resources") or [])
        case kind if kind == KUSTOMIZATION:
            entries = (status.get("inventory") or {}).get("entries")
            # before its first success there is none
            return entries is None or any(entry_target(one.get("id", "")) == about for one in entries)
        case _:
            return True


def _resource(one: Object) -> Target:
    return Target(one.get("group") or "", one.get("kind") or "", one.get("namespace") or "", one.get("name") or "")


def entry_target(id: str) -> Target | None:
    """What an entry of a Kustomization's inventory is about: ``namespace_name_group_Kind`` (cli-utils 0.37)."""
    parts = id.split("_")
    if len(parts) < 4:
        return None
    # names of RBAC objects have colons, which are written as two underscores
    namespace, *name, group, kind = parts
    return Target(group, kind, namespace, "_".join(name).replace("__", ":"))
