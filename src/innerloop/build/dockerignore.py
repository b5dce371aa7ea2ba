"""Which files of a build context count, by the rules of Docker.

The grammar is that of Moby's ``patternmatcher`` 0.6 and its ``ignorefile`` reader, which BuildKit and the docker
command share: patterns are relative to the context, the last one that matches a path or one of its parents decides,
``**`` spans folders, ``!`` makes an exception.

BuildKit's walk differs from that in one point: of a folder it remembers only those patterns that it had to look at. So
below a folder that an earlier pattern left out, a later pattern that would match the folder does not undo an exception.
A content tag must not miss a file that some builder sends: here a path is left out only where both agree.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from innerloop.errors import Location, LoopError

_BYTE_ORDER_MARK = "\ufeff"
_SPECIAL = frozenset("*?[]\\")


class IgnorePattern(NamedTuple):
    text: str
    exception: bool = False
    """Whether it began with ``!``: what it matches counts again."""
    line: int = 0


class Matched(NamedTuple):
    """Which patterns matched a path or one of its parents: all of them, and those that BuildKit knows of."""

    all: tuple[bool, ...]
    walked: tuple[bool, ...]


class Ignore:
    """The patterns of one ignore file, compiled.

    A walk keeps one ``Matched`` (None: no pattern matched) per folder and asks ``enter`` once for each entry.
    """

    def __init__(self, patterns: Iterable[IgnorePattern], file: str = ".dockerignore") -> None:
        self.patterns = tuple(patterns)
        self._rules = [(_compile(pattern, file), pattern.exception) for pattern in self.patterns]
        self._any = re.compile("|".join(f"(?:{rule.pattern})" for rule, _ in self._rules) or r"(?!)", re.DOTALL)
        exceptions = [pattern.text for pattern in self.patterns if pattern.exception]
        self._exceptions = None if any(_SPECIAL & set(text) for text in exceptions) else tuple(exceptions)

    def excludes(self, path: str) -> bool:
        """Whether a path, relative to the context, is left out by itself or with one of its parents."""
        parts = path.split("/")
        matched: Matched | None = None
        for depth in range(1, len(parts) + 1):
            matched = self.enter("/".join(parts[:depth]), matched)
        return self.excluded(matched)

    def enter(self, path: str, parent: Matched | None) -> Matched | None:
        """What matched an entry, given what matched its folder."""
        if parent is None:
            if not self._any.match(path):
                return None
            parent = Matched((False,) * len(self._rules), (False,) * len(self._rules))
        hits = tuple(
            known or rule.match(path) is not None for known, (rule, _) in zip(parent.all, self._rules, strict=True)
        )
        return Matched(hits, self._walked(path, parent.walked))

    def excluded(self, matched: Matched | None) -> bool:
        return matched is not None and self._verdict(matched.all) and self._verdict(matched.walked)

    def may_count_below(self, folder: str) -> bool:
        """Whether some exception could match below a folder that is left out."""
        if self._exceptions is None:
            return True
        return any(text.startswith(f"{folder}/") for text in self._exceptions)

    def _walked(self, path: str, parent: tuple[bool, ...]) -> tuple[bool, ...]:
        excluded = False
        hits = []
        for known, (rule, exception) in zip(parent, self._rules, strict=True):
            hit = known or (exception == excluded and rule.match(path) is not None)
            hits.append(hit)
            if hit:
                excluded = not exception
        return tuple(hits)

    def _verdict(self, hits: tuple[bool, ...]) -> bool:
        for hit, (_, exception) in zip(reversed(hits), reversed(self._rules), strict=True):
            if hit:
                return not exception
        return False


def ignore_file(context: Path, dockerfile: Path) -> Path | None:
    """The ignore file that counts: ``<Dockerfile>.dockerignore`` beside the Dockerfile, else the context's own."""
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    return next((file for file in (own, context / ".dockerignore") if file.is_file()), None)


def read_ignore(file: Path | None) -> Ignore:
    """The patterns of an ignore file; none without a file.

    Raises LoopError with the line of a pattern that Docker refuses, too.
    """
    if file is None:
        return Ignore(())
    return parse_ignore(file.read_text(encoding="utf-8", errors="surrogateescape"), str(file))


def parse_ignore(text: str, file: str = ".dockerignore") -> Ignore:
    """The patterns of an ignore file's text."""
    lines = text.removeprefix(_BYTE_ORDER_MARK).split("\n")
    patterns = (_parse_line(line, number, file) for number, line in enumerate(lines, 1))
    return Ignore((pattern for pattern in patterns if pattern), file)


def _parse_line(line: str, number: int, file: str) -> IgnorePattern | None:
    if line.startswith("#") or not (text := line.strip()):
        return None
    sign = "!" if text.startswith("!") else ""
    text = text[1:].strip() if sign else text
    if text:
        text = _clean(text)
        text = text.removeprefix("/") or text
    # the matcher trims and cleans once more what its reader hands over, sign and all
    text = _clean((sign + text).strip())
    if text == "!":
        raise LoopError("'!' alone is no pattern", where=Location(file, number))
    return IgnorePattern(text.removeprefix("!"), text.startswith("!"), number)


def _clean(path: str) -> str:
    """Go's filepath.Clean; POSIX leaves the meaning of a second leading slash open, there it has none."""
    return posixpath.normpath(re.sub("^//+", "/", path))


def _compile(pattern: IgnorePattern, file: str) -> re.Pattern[str]:
    try:
        return re.compile(_expression(pattern.text), re.DOTALL)
    except (ValueError, re.error) as error:
        where = Location(file, pattern.line)
        raise LoopError(f"'{pattern.text}' is no valid pattern", where=where, detail=str(error)) from error


def _expression(pattern: str) -> str:
    if pattern.startswith("**") and not _SPECIAL & set(pattern[2:]) and pattern[2:3] != "/":
        # a quirk of Moby: a suffix, also of a longer name
        return rf".*{re.escape(pattern[2:])}\Z"
    result: list[str] = []
    position = 0
    while position < len(pattern):
        piece, position = _piece(pattern, position)
        result.append(piece)
    return rf"{''.join(result)}\Z"


def _piece(pattern: str, position: int) -> tuple[str, int]:
    """The regular expression of one element, and where the next one begins."""
    if pattern.startswith("**", position):
        position += 3 if pattern.startswith("**/", position) else 2
        return (".*" if position == len(pattern) else "(?:.*/)?"), position
    character = pattern[position]
    if character == "[":
        return _character_class(pattern, position + 1)
    if character == "\\":
        return re.escape(_member(pattern, position)[0]), position + 2
    return {"*": "[^/]*", "?": "[^/]"}.get(character) or re.escape(character), position + 1


def _character_class(pattern: str, position: int) -> tuple[str, int]:
    negation = "^" if pattern.startswith("^", position) else ""
    position += len(negation)
    ranges: list[str] = []
    while not (ranges and pattern.startswith("]", position)):
        if pattern[position : position + 1] in ("]", "-"):
            raise ValueError("a class [...] cannot begin with ']', nor have an open range")
        low, position = _member(pattern, position)
        high = low
        if pattern.startswith("-", position):
            if pattern[position + 1 : position + 2] in ("]", "-"):
                raise ValueError("a range in [...] has no end")
            high, position = _member(pattern, position + 1)
        ranges.append(f"{re.escape(low)}-{re.escape(high)}")
    return f"[{negation}{''.join(ranges)}]", position + 1


def _member(pattern: str, position: int) -> tuple[str, int]:
    """One character, which a backslash may escape."""
    if pattern.startswith("\\", position):
        position += 1
    if position >= len(pattern):
        raise ValueError("it ends in the middle of an escape or of a class [...]")
    return pattern[position], position + 1
