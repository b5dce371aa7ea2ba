"""How long forges want to be left alone, by the headers that they tell it in."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

from innerloop.gitops.forges.answers import Answer

SECONDARY = 60.0
"""GitHub's secondary limits, where they come without Retry-After (its own documentation)."""


def seconds(answer: Answer) -> float | None:
    """Seconds until the forge takes requests again; None for an answer that is not about limits."""
    exhausted = _number(answer, "X-RateLimit-Remaining", "RateLimit-Remaining") == 0
    secondary = answer.status == 403 and "rate limit" in str(answer.body).lower()
    put_off = answer.status == 403 and (exhausted or secondary or "Retry-After" in answer.headers)
    if answer.status != 429 and not put_off:
        return None
    after = retry_after(answer)
    if after is not None:
        return after
    reset = _number(answer, "X-RateLimit-Reset", "RateLimit-Reset")
    if exhausted and reset is not None:
        return max(0.0, reset - _now(answer))
    return SECONDARY if secondary else 0.0


def retry_after(answer: Answer) -> float | None:
    """Seconds; the header has them, or a date."""
    text = answer.headers.get("Retry-After", "").strip()
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - _now(answer))
    except ValueError:
        return None


def _now(answer: Answer) -> float:
    """The forge's own time, for ours may be off."""
    try:
        return parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
    except ValueError:
        return time.time()


def _number(answer: Answer, *names: str) -> float | None:
    for name in names:
        try:
            return float(answer.headers.get(name, ""))
        except ValueError:
            continue
    return None
