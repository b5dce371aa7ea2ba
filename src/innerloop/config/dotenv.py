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
_LETTERS = {"\n": "n", "\r": "r", "\t": "t"}
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


def with_value(text: str, name: str, new: str) -> str:
    """The text in which the assignment of ``name`` that counts has another value, taken literally; all else stays.

    The text must have passed ``parse``, and have the assignment.
    """
    if "\r\n" in text:
        return with_value(text.replace("\r\n", "\n"), name, new).replace("\n", "\r\n")
    spans: dict[str, tuple[int, int]] = {}
    position = len(text) - len(text.removeprefix("\ufeff"))
    while position < len(text):
        if blank := _BLANK.match(text, position):
            position = blank.end()
            continue
        head = _HEAD.match(text, position)
        assert head is not None
        start = head.end()
        (_, _), position = _value(text, start, "")
        written = next((found[0] for one in (_SINGLE, _DOUBLE) if (found := one.match(text, start))), "")
        if not written:
            line = text[start:].split("\n", 1)[0]
            written = re.split(r"(?:^|[ \t]+)#", line, maxsplit=1)[0].rstrip()
        spans[head[1]] = (start, start + len(written))
    start, end = spans[name]
    return text[:start] + _written(new, text[start : start + 1]) + text[end:]


def _written(new: str, quote: str) -> str:
    """A value so that it reads back as it is: in the quotes that it had where they can hold it."""
    if quote == "'" and "'" not in new:
        return f"'{new}'"
    if quote != '"' and re.fullmatch(r"[\w./:@%+,-]*", new):
        return new
    escaped = re.sub(r'["\\$\n\r\t]', lambda match: "\\" + _LETTERS.get(match[0], match[0]), new)
    return f'"{escaped}"'


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
