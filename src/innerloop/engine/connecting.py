"""From a project's chosen context and namespace to a scope with a client."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from innerloop import cluster
from innerloop.engine.scope import Scope
from innerloop.events import Emit, Notice
from innerloop.kube import config
from innerloop.kube.client import connect
from innerloop.project import Project


@contextlib.asynccontextmanager
async def connected(project: Project, emit: Emit) -> AsyncIterator[Scope]:
    """A scope for ``project``; the connection is closed at the end. Raises KubeConfigError for an unknown context."""
    found = config.load(extra=cluster.kubeconfigs())
    access = config.access(found, project.context or None)

    def on_warning(text: str) -> None:
        emit(Notice(level="warning", message=text))

    async with connect(access, on_warning=on_warning) as client:
        yield Scope(
            client=client,
            context=access.context,
            namespace=project.namespace,
            environment=project.environment or "",
            kubeconfigs=found.files,
            emit=emit,
        )
