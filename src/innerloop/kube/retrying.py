"""The one policy by which requests are repeated.

* 429, and 5xx with Retry-After: the server did not act and says when to come back (as client-go does, any method).
* 502, 503, 504 without it, and broken connections: only where repeating does no harm.
* A server that never answered yet is not waited for: the user hears at once that it is not there.

(A 401 is repeated once with fresh credentials, by the client.)
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from innerloop.kube.errors import ApiError, ConnectionFailed, KubeError, ServerError, TooManyRequests

T = TypeVar("T")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0


def pauses(first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE) -> Iterator[float]:
    """Seconds to wait before each repetition: doubling, jittered so that clients do not come back in step."""
    pause = first
    while True:
        yield pause * random.uniform(0.8, 1.2)
        pause = min(pause * 2, longest)


async def retried(
    attempt: Callable[[], Awaitable[T]], *, repeatable: bool, reached: Callable[[], bool], deadline: float
) -> T:
    """The result of ``attempt``, repeated by the policy until the event loop's clock shows ``deadline``.

    ``repeatable`` says that a request may reach the server twice; ``reached`` whether it ever answered. Raises the
    last error when time is up.
    """
    loop = asyncio.get_running_loop()
    for backoff in pauses():
        try:
            return await attempt()
        except KubeError as error:
            pause = _pause(error, backoff, repeatable=repeatable, reached=reached())
            if pause is None or loop.time() + pause >= deadline:
                raise
        await asyncio.sleep(pause)
    raise AssertionError("pauses() never ends")


def _pause(error: KubeError, backoff: float, *, repeatable: bool, reached: bool) -> float | None:
    """Seconds until the request may be sent again, None when it may not."""
    if isinstance(error, ConnectionFailed):
        return backoff if reached and (repeatable or not error.sent) else None
    if not isinstance(error, ApiError):
        return None
    if isinstance(error, TooManyRequests | ServerError) and error.retry_after is not None:
        return max(error.retry_after, backoff)
    if isinstance(error, TooManyRequests) or (error.status in (502, 503, 504) and repeatable):
        return backoff
    return None
