"""Objects as agents mark them, without a cluster."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

HEALING = {"automated": {"prune": True, "selfHeal": True}}


def deployment(name: str = "web", namespace: str = "vote", **metadata: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, **metadata},
    }


def tracked(id: str, name: str = "web", namespace: str = "vote") -> Object:
    """A Deployment that an Application applied; ``id`` is its tracking id."""
    return deployment(name, namespace, annotations={"argocd.argoproj.io/tracking-id": id})


def fluxed(group: str, name: str, namespace: str = "flux-system") -> dict[str, str]:
    """Labels of what a Kustomization or a HelmRelease applied."""
    return {f"{group}.toolkit.fluxcd.io/name": name, f"{group}.toolkit.fluxcd.io/namespace": namespace}


def application(name: str = "vote", policy: Object | None = None, **metadata: Any) -> Object:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd", **metadata},
        "spec": {"project": "default", "syncPolicy": HEALING if policy is None else policy},
    }


def application_set(name: str = "votes", **spec: Any) -> Object:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": spec,
    }


def kustomization(name: str = "apps", **spec: Any) -> Object:
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {"interval": "5m", **spec},
    }


def helm_release(name: str = "vote", **spec: Any) -> Object:
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {"interval": "5m", **spec},
    }
