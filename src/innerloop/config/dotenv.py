"""The grammar of ``.env`` files that docker compose, python-dotenv and direnv's dotenv agree on.

``NAME=value`` lines, optional ``export``; ``#`` comments on lines of their own or after a blank; single quotes take all
literally, double quotes know backslash escapes; both may span lines. No command substitution, no shell.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from innerloop.config.nodes import Scalar
from innerloop.errors import Location, LoopError


class Assignment(NamedTuple):
    scalar: Scalar
    literal: bool
    """In single quotes: ``${NAME}`` in it is text."""


_HEAD = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(\$\{|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$", "${": "$${", "\n": ""}


def parse(text: str, file: str) -> dict[str, Assignment]:
    """The assignments of a file, later ones win. Raises LoopError with the line of what is no assignment."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    found: dict[str, Assignment] = {}
    position = 0
    while position < len(text):
        if blank := _BLANK.match(text, position):
            position = blank.end()
            continue
        head = _HEAD.match(text, position)
        if head is None:
            raise _no_assignment(text, position, file)
        found[head[1]], position = _value(text, head.end(), file)
    return found


def _value(text: str, start: int, file: str) -> tuple[Assignment, int]:
    where = _location(text, start, file)
    quote = text[start : start + 1]
    if quote not in ("'", '"'):
        line = text[start:].split("\n", 1)[0]
        value = re.split(r"(?:^|[ \t]+)#", line, maxsplit=1)[0].rstrip()
        return Assignment(Scalar(value, where, plain=True), literal=False), start + len(line) + 1
    match = (_SINGLE if quote == "'" else _DOUBLE).match(text, start)
    if match is None:
        raise LoopError(f"the quote {quote} is never closed", where=where)
    end = _BLANK.match(text, match.end())
    if end is None:
        after = _location(text, match.end(), file)
        hint = "quote the whole value, or begin a comment with #"
        raise LoopError("text after the closing quote", where=after, hint=hint)
    value = match[1] if quote == "'" else _ESCAPE.sub(_unescape, match[1])
    return Assignment(Scalar(value, where), literal=quote == "'"), end.end()


def _unescape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[1], match[0])


def _no_assignment(text: str, position: int, file: str) -> LoopError:
    line = text[position:].split("\n", 1)[0]
    name = re.split(r"[=\s]", line.strip(), maxsplit=1)[0]
    return LoopError(f"'{name}' is no assignment", where=_location(text, position, file), hint="write NAME=value")


def _location(text: str, index: int, file: str) -> Location:
    return Location(file, text.count("\n", 0, index) + 1, index - (text.rfind("\n", 0, index)))
