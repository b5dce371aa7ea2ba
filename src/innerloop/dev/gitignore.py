"""Patterns of .gitignore as regular expressions over bytes, by git's ``wildmatch.c`` and ``dir.c`` (2.39).

git looks at bytes: ``?`` is one byte, whatever the locale.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

_NEVER = rb"(?!)"
_CLASSES = {
    b"alnum": rb"0-9A-Za-z",
    b"alpha": rb"A-Za-z",
    b"blank": rb" \t",
    b"cntrl": rb"\x00-\x1f\x7f",
    b"digit": rb"0-9",
    b"graph": rb"!-~",
    b"lower": rb"a-z",
    b"print": rb" -~",
    b"punct": rb"!-/:-@\[-`{-~",
    b"space": rb" \t-\r",
    b"upper": rb"A-Z",
    b"xdigit": rb"0-9A-Fa-f",
}


class Rule(NamedTuple):
    pattern: bytes
    expression: bytes
    of_name: bool
    """The expression is one of names alone, in whatever folder they are; else of paths."""
    ignores: bool
    """False: begins with ``!``, takes back what an earlier one ignored."""
    folders_only: bool


class Patterns:
    """The patterns of one file. Each is tried on an entry itself, not on what is below it."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._rules = [rule for line in lines if (rule := parse(line))]
        # most paths match nothing: one look at the name and one at the path, instead of one per pattern
        self._any_name = _any_of(rule.expression for rule in self._rules if rule.of_name)
        self._any_path = _any_of(rule.expression for rule in self._rules if not rule.of_name)
        self.leaves_out_all = any(rule.pattern == b"*" for rule in self._rules) and all(
            rule.ignores for rule in self._rules
        )

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._rules)

    def check(self, path: bytes, folder: bool) -> bool | None:
        """True: ignored, False: taken back, None: not mentioned. The path is relative to the file's folder."""
        name = path[path.rfind(b"/") + 1 :]
        if not (self._any_name and self._any_name(name)) and not (self._any_path and self._any_path(path)):
            return None
        for rule in reversed(self._rules):
            fitting = name if rule.of_name else path
            if (folder or not rule.folders_only) and re.fullmatch(rule.expression, fitting, re.DOTALL):
                return rule.ignores
        return None


def parse(line: bytes) -> Rule | None:
    """One line; None for an empty one and a comment."""
    text = _without_trailing_spaces(line)
    if not text or text.startswith(b"#"):
        return None
    ignores = not text.startswith(b"!")
    pattern = text if ignores else text[1:]
    folders_only = pattern.endswith(b"/")
    pattern = pattern.removesuffix(b"/")
    expression = _expression(pattern.removeprefix(b"/")) if pattern else _NEVER
    return Rule(text, expression, b"/" not in pattern, ignores, folders_only)


def _any_of(expressions: Iterable[bytes]) -> Callable[[bytes], object] | None:
    """Tells whether one of them matches; None where there are none."""
    joined = b"|".join(b"(?:%s)" % one for one in expressions)
    return re.compile(joined, re.DOTALL).fullmatch if joined else None


def _without_trailing_spaces(line: bytes) -> bytes:
    kept = line.rstrip(b" ")
    backslashes = len(kept) - len(kept.rstrip(b"\\"))
    return kept + b" " if backslashes % 2 and len(kept) < len(line) else kept


def _expression(pattern: bytes) -> bytes:
    parts = []
    at = 0
    while at < len(pattern):
        part, at = _piece(pattern, at)
        parts.append(part)
    return b"".join(parts)


def _piece(pattern: bytes, at: int) -> tuple[bytes, int]:
    """The expression of one element, and where the next one begins."""
    match pattern[at : at + 1]:
        case b"*":
            return _stars(pattern, at)
        case b"?":
            return b"[^/]", at + 1
        case b"[":
            return _brackets(pattern, at + 1)
        case b"\\":
            escaped = pattern[at + 1 : at + 2]
            return (re.escape(escaped) if escaped else _NEVER), at + 2
        case character:
            return re.escape(character), at + 1


def _stars(pattern: bytes, at: int) -> tuple[bytes, int]:
    end = at
    while pattern[end : end + 1] == b"*":
        end += 1
    is_whole_name = pattern[at - 1 : at] in (b"", b"/") and pattern[end : end + 1] in (b"", b"/")
    if end - at == 1 or not is_whole_name:
        return b"[^/]*", end
    return (b".*", end) if end == len(pattern) else (b"(?:.*/)?", end + 1)


def _brackets(pattern: bytes, at: int) -> tuple[bytes, int]:
    """A class ``[…]``; one that does not end matches nothing."""
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    members: list[bytes] = []
    while pattern[at : at + 1] != b"]" or not members:
        named = re.compile(rb"\[:([a-z]*):\]").match(pattern, at)
        if named:
            members.append(_CLASSES.get(named[1], b""))
            at = named.end()
            continue
        low, at = _member(pattern, at)
        high = low
        if pattern[at : at + 1] == b"-" and pattern[at + 1 : at + 2] not in (b"]", b""):
            high, at = _member(pattern, at + 1)
        if not low or not high:
            return _NEVER, len(pattern)
        members.append(b"%s-%s" % (re.escape(low), re.escape(high)) if low <= high else b"")
    chosen = b"".join(members)
    if not chosen:
        return (b"[^/]" if negated else _NEVER), at + 1
    return b"(?!/)[%s%s]" % (b"^" if negated else b"", chosen), at + 1


def _member(pattern: bytes, at: int) -> tuple[bytes, int]:
    if pattern[at : at + 1] == b"\\":
        at += 1
    return pattern[at : at + 1], at + 1
