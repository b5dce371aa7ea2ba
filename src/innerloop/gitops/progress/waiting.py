"""Waiting until a source commit has arrived in an environment: pull request, merge, agent, health."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from innerloop.errors import LoopError
from innerloop.events import Emit, StepProgress, reported
from innerloop.gitops.progress.progress import Progress
from innerloop.gitops.progress.status import Inquiry
from innerloop.gitops.repository.git import RepositoryUnreachable

EVERY_SECONDS = 5.0
"""Between two looks: an agent takes longer, and a forge takes as many requests."""


class NotArrived(LoopError):
    """The commit is not in the environment and will not come by itself, or did not in time."""

    def __init__(self, progress: Progress, message: str, hint: str | None) -> None:
        super().__init__(message, detail="\n".join(progress.hidden) or None, hint=hint)
        self.progress = progress
        """What was seen last."""


async def wait_for(
    inquiry: Inquiry,
    emit: Emit,
    *,
    environment: str,
    seconds: float,
    every: float = EVERY_SECONDS,
    changed: Callable[[Progress], Awaitable[None]] | None = None,
) -> Progress:
    """Return once the commit is healthy in the environment, or was overtaken there.

    Reports one step, ``wait/ENVIRONMENT``, and calls ``changed`` with every new state. Raises NotArrived when it
    failed, when its pull request was closed, and after ``seconds``; other LoopErrors where the GitOps repository cannot
    be asked, RepositoryUnreachable only when it cannot from the beginning or to the end.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    step = f"wait/{environment}"
    last: Progress | None = None
    with reported(emit, step, f"wait for {environment}") as outcome:
        while True:
            try:
                progress = await inquiry.look()
            except RepositoryUnreachable as error:
                if last is None or clock() + every > deadline:
                    raise
                # a network that is away for a moment in an hour
                emit(StepProgress(step=step, message=f"{last.words} ({error.message}; asking again)"))
                await asyncio.sleep(every)
                continue
            if last is None or progress.words != last.words:
                emit(StepProgress(step=step, message=progress.words))
                if changed:
                    await changed(progress)
            last = progress
            if progress.settled:
                if progress.state in ("failed", "not promoted"):
                    raise NotArrived(progress, f"{environment}: {progress.words}", None)
                outcome.summary = progress.words
                return progress
            if clock() + every > deadline:
                message = f"{environment} is not healthy after {seconds:.0f} s: {progress.words}"
                raise NotArrived(progress, message, f"it may still come: loop status --env {environment}")
            await asyncio.sleep(every)
