"""helm, kubectl and kustomize: the user's own, else those of the built-in cluster's program."""

from __future__ import annotations

import shutil

from innerloop.errors import LoopError

_HINTS = {
    "helm": "install it: https://helm.sh/docs/intro/install",
    "kubectl": "install kubectl or kustomize: https://kubernetes.io/docs/tasks/tools",
}


def helm() -> str:
    """Path of helm, 3 or 4. Raises LoopError when there is none."""
    return _found("helm", "to render charts")


def kustomize() -> list[str]:
    """The command that builds a kustomization, without the folder. Raises LoopError when there is none."""
    if own := shutil.which("kustomize"):
        return [own, "build"]
    return [_found("kubectl", "to render kustomizations"), "kustomize"]


def _found(name: str, purpose: str) -> str:
    if found := shutil.which(name):
        return found
    # not at the top: with helm on PATH nothing of it is needed, and it takes its time
    from innerloop import cluster

    folder = cluster.programs()
    if folder is not None and (folder / name).exists():
        return str(folder / name)
    hint = f"{_HINTS[name]}, or 'loop cluster up', which brings one"
    raise LoopError(f"{name} is needed {purpose}, and is not on PATH", hint=hint)
