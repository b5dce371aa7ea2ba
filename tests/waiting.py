"""Waiting for a condition with a deadline, instead of sleeping for luck."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def until(
    predicate: Callable[[], Awaitable[T]], *, timeout: float = ..., every: float = ..., what: str = ...
) -> T: ...
@overload
async def until(predicate: Callable[[], T], *, timeout: float = ..., every: float = ..., what: str = ...) -> T: ...
async def until(predicate: Callable[[], Any], *, timeout: float = 30.0, every: float = 0.02, what: str = "") -> Any:
    """The first true value of ``predicate`` (plain or async); fails with ``what`` after ``timeout`` seconds."""
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        result = predicate()
        value = await result if inspect.isawaitable(result) else result
        if value:
            return value
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not so after {timeout:g} s: {what or predicate}")
        await asyncio.sleep(every)
