"""Throw-away local clusters: kind, k3d, minikube, and the built-in node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from innerloop.cluster.records import kubeconfigs

if TYPE_CHECKING:
    from innerloop.cluster.provider import Provider

__all__ = ["kubeconfigs", "programs", "provider_of"]

# imports inside: every command looks for kubeconfigs here, few need more


def provider_of(context: str) -> Provider | None:
    """The provider of a context of the kubeconfig, None when it is no local cluster that takes images."""
    from innerloop.cluster import choosing

    return choosing.provider_of(context)


def programs() -> Path | None:
    """A folder with kubectl and helm, for who has none on PATH; None until a built-in node was compiled."""
    from innerloop.cluster import compiling

    return compiling.for_users()
