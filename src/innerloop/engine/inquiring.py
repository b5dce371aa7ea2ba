"""Asking how far a source commit is on its way to an environment: whom to ask, and for how long."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from innerloop.engine.connecting import connected
from innerloop.events import Emit, Notice
from innerloop.gitops.differences.comparing import settings
from innerloop.gitops.environments.source_commit import remote_address
from innerloop.gitops.forges.choosing import forge_of
from innerloop.gitops.forges.errors import ForgeError
from innerloop.gitops.forges.forge import Forge
from innerloop.gitops.progress.progress import Progress
from innerloop.gitops.progress.reporting import report, source_kind
from innerloop.gitops.progress.source_history import History
from innerloop.gitops.progress.status import Inquiry, Sources
from innerloop.gitops.progress.waiting import wait_for
from innerloop.gitops.repository import repository
from innerloop.kube.errors import KubeError
from innerloop.project import Project


class _Opened(NamedTuple):
    inquiry: Inquiry
    gitops: Forge | None


async def progress(project: Project, commit: str, emit: Emit, *, tell_forges: bool = False) -> Progress:
    """How far a commit (any name that git takes) is on its way to the environment that ``project`` was loaded for.

    ``project.context`` is that of the environment's cluster; empty: the kubeconfig's. ``tell_forges`` writes the
    commits' statuses. Raises LoopError.
    """
    async with _opened(project, commit, emit) as opened:
        found = await opened.inquiry.look()
        if tell_forges:
            await _tell(project, found, opened.gitops, emit)
        return found


async def wait(project: Project, commit: str, emit: Emit, *, seconds: float, tell_forges: bool = False) -> Progress:
    """Return once the commit is healthy in the environment, or was overtaken there; otherwise as ``progress``.

    Raises NotArrived when it failed there, was given up, or took longer than ``seconds``.
    """
    async with _opened(project, commit, emit) as opened:

        async def changed(found: Progress) -> None:
            await _tell(project, found, opened.gitops, emit)

        environment = project.environment or ""
        tell = changed if tell_forges else None
        return await wait_for(opened.inquiry, emit, environment=environment, seconds=seconds, changed=tell)


@asynccontextmanager
async def _opened(project: Project, commit: str, emit: Emit) -> AsyncIterator[_Opened]:
    gitops = settings(project)
    history = History(project.folder)
    full = await history.resolve(commit)
    hidden: list[str] = []
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(repository.opened(gitops.repository, emit, gitops.forge))
        forge = client = None
        try:
            forge = await stack.enter_async_context(forge_of(gitops.repository, gitops.forge))
        except ForgeError as error:
            hidden.append(f"the forge: {error.message}")
        try:
            client = (await stack.enter_async_context(connected(project, emit))).client
        except KubeError as error:
            hidden.append(f"the cluster: {error.message}")
        sources = Sources(there, history, forge, client, tuple(hidden))
        yield _Opened(Inquiry(project, full, sources), forge)


async def _tell(project: Project, found: Progress, gitops: Forge | None, emit: Emit) -> None:
    """Write the statuses. A Notice tells where the source is on no forge that we know."""
    own = settings(project)
    address = await remote_address(project.folder)
    async with AsyncExitStack() as stack:
        source = None
        try:
            kind = source_kind(address, own.repository, own.forge)
            source = await stack.enter_async_context(forge_of(address, kind))
        except ForgeError as error:
            message = f"the source commit gets no status: {error.message}"
            emit(Notice(level="warning", message=message, detail=error.detail or "", hint=error.hint or ""))
        await report(found, gitops=gitops, source=source)
