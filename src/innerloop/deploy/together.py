"""The same for many objects at once, with a bounded number of requests in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from innerloop.errors import LoopError

A = TypeVar("A")
T = TypeVar("T")

IN_FLIGHT = 12
"""Requests at a time: some of the client's are left to whoever else uses it."""


async def together(function: Callable[[A], Awaitable[T]], items: Iterable[A], *, name: str) -> list[T]:
    """``function`` of each item, in the order of the items; ``name`` is for the tasks.

    The first error ends the others and is raised by itself, a bug before an error for users.
    """
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def one(item: A) -> T:
        async with slots:
            return await function(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item), name=f"{name} {item}") for item in items]
    except BaseExceptionGroup as failed:
        errors = failed.exceptions
        raise next((error for error in errors if not isinstance(error, LoopError)), errors[0]) from None
    return [task.result() for task in tasks]
