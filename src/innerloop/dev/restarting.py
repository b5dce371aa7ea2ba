"""Restarting developed processes from outside of a session, by the helper that runs them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from innerloop.dev import helper
from innerloop.dev.pods import PodContainer, follow_pods
from innerloop.errors import LoopError, single_failure
from innerloop.kube import execution
from innerloop.kube.client import Client
from innerloop.kube.failures import CommandNotStarted


async def restart(client: Client, target: str, *, namespace: str, selector: str) -> list[PodContainer]:
    """Restart the process in every running container of a target; returns them once the new processes run.

    Raises LoopError when there is none, or when a process cannot be restarted.
    """
    async with aclosing(follow_pods(client, namespace=namespace, selector=selector, target=target)) as changes:
        containers = await anext(changes)
    if not containers:
        raise LoopError(f"no container of {target} runs", hint="loop status tells why; loop dev starts it")
    try:
        async with asyncio.TaskGroup() as tasks:
            for container in containers:
                tasks.create_task(_restart_one(client, namespace, container), name=f"restart {container.pod}")
    except BaseExceptionGroup as group:
        raise single_failure(group) from None
    return list(containers)


async def _restart_one(client: Client, namespace: str, container: PodContainer) -> None:
    command = (helper.PROGRAM, "restart")
    try:
        result = await execution.run(client, namespace, container.pod, container.container, command)
    except CommandNotStarted as error:
        raise no_helper(container, error) from error
    if result.code:
        raise LoopError(
            f"the process in {container.pod}/{container.container} was not restarted",
            detail=result.stderr.decode(errors="replace").strip(),
        )


def no_helper(container: PodContainer, error: LoopError) -> LoopError:
    """The error where the helper is not mounted."""
    return LoopError(
        f"the container {container.pod}/{container.container} is not set up for development",
        detail=error.detail,
        hint="loop dev sets it up; it also runs its process under the helper, if the command is known",
    )
