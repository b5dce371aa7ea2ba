"""Where a session works: the cluster, the namespace, and who listens."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from innerloop.events import Emit
from innerloop.kube.client import Client


class Scope(NamedTuple):
    client: Client
    context: str
    namespace: str
    environment: str
    """Name of the environment, empty on a laptop."""
    kubeconfigs: tuple[Path, ...]
    """Files that make ``kubectl --context`` find the context, for hooks."""
    emit: Emit

    @property
    def variables(self) -> dict[str, str]:
        """What hooks and commands see of it."""
        return {
            "LOOP_CONTEXT": self.context,
            "LOOP_NAMESPACE": self.namespace,
            "LOOP_ENVIRONMENT": self.environment,
            "KUBECONFIG": ":".join(map(str, self.kubeconfigs)),
        }
