"""Answers of forges, and the errors that some of them are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from yarl import URL

from innerloop.gitops.forges.errors import (
    BadToken,
    Conflict,
    Forbidden,
    Invalid,
    MissingScope,
    NotFound,
    RateLimited,
    Refusal,
)

LONGEST_WORDS = 2000


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    """Names in any case."""
    body: Any
    """Decoded JSON, None for an empty body; text where it is something else."""
    is_json: bool


class Scopes(NamedTuple):
    needed: tuple[str, ...]
    """Any one of them will do."""
    granted: tuple[str, ...] = ()


class Dialect(NamedTuple):
    """How a forge tells what is wrong."""

    name: str
    words: Callable[[Any], str]
    """What the body of an error says."""
    scopes: Callable[[Answer], Scopes | None]
    """What the token lacks by a 403 or 404; None where that is not the matter."""
    token_hint: str
    """Which token it takes to make a pull request."""


def sign_in_page(answer: Answer) -> bool:
    """Whether it is the way to a page for people, which some forges send instead of a 401.

    Azure DevOps: 203 with the page, or a redirect to another server that has it.
    """
    if answer.status in (301, 302, 303, 307, 308):
        return URL(answer.headers.get("Location", "")).is_absolute()
    return answer.status == 203 and not answer.is_json


def refusal(dialect: Dialect, answer: Answer, what: str, source: str, scrub: Callable[[str], str]) -> Refusal:
    """The error of an answer from 300 to 499. ``what`` was asked, ``source`` is where the token is from."""
    name, status = dialect.name, answer.status
    words = scrub(dialect.words(answer.body))[:LONGEST_WORDS]
    token = f"the token from {source}"
    if status == 401:
        message = f"{name} does not accept {token}: it is wrong, or it has expired"
        return BadToken(message, status=status, words=words, hint=dialect.token_hint)
    scopes = dialect.scopes(answer) if status in (403, 404) else None
    if scopes is not None:
        message = f"{token} lacks a scope that {name} wants: {' or '.join(scopes.needed)}"
        return MissingScope(
            message, status=status, words=words, hint=dialect.token_hint, needed=scopes.needed, granted=scopes.granted
        )
    if status == 403:
        message = f"{name} does not allow {what} with {token}"
        return Forbidden(message, status=status, words=words, hint=dialect.token_hint)
    if status == 404:
        message = f"{name} does not have it, or does not show it to {token}: {what}"
        hint = "check `gitops.repository` in loop.yaml, and that the token's owner may see it"
        return NotFound(message, status=status, words=words, hint=hint)
    kind = Conflict if status == 409 else Invalid if status in (400, 422) else Refusal
    return kind(f"{name} refuses {what} ({status})", status=status, words=words)


def rate_limited(dialect: Dialect, answer: Answer, seconds: float, scrub: Callable[[str], str]) -> RateLimited:
    message = f"{dialect.name} takes no more requests for {seconds:.0f} s"
    hint = "wait, or use a token of your own: limits are counted by user"
    return RateLimited(message, detail=scrub(dialect.words(answer.body)) or None, hint=hint, seconds=seconds)


def message_words(body: Any) -> str:
    """What most forges say: ``message`` or ``error``, with the fields that are wrong below it."""
    if not isinstance(body, dict):
        return "" if body is None or "<html" in str(body).lower() else str(body).strip()
    lines = [_flat(body[key]) for key in ("message", "error", "error_description") if body.get(key)]
    return "\n".join([*lines, *(_flat(error) for error in body.get("errors") or [])])


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        if isinstance(value.get("message"), str):
            return str(value["message"])
        return "; ".join(f"{key}: {_flat(item)}" for key, item in value.items())
    return "; ".join(_flat(item) for item in value) if isinstance(value, list) else str(value)
