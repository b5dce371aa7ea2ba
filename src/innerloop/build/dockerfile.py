"""The few facts of a Dockerfile that matter before it is built: declared arguments and images from elsewhere.

Everything else is the builder's business. The grammar is that of the Dockerfile reference, frontend 1.x: parser
directives, continued lines, comments between them, here-documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_DIRECTIVE = re.compile(r"#\s*(\w+)\s*=\s*(\S+)\s*$")
_HEREDOC = re.compile(r"<<(-?)(['\"]?)(\w+)\2")
_VARIABLE = re.compile(r"\\\$|\$(\w+)|\$\{(\w+)(?:(:?[-+])([^}]*))?\}")
_HEREDOC_INSTRUCTIONS = ("RUN", "COPY", "ADD")


class Instruction(NamedTuple):
    name: str
    """Upper case."""
    rest: str
    line: int


class Dockerfile(NamedTuple):
    arguments: frozenset[str]
    """Names that some ARG declares: build arguments of other names change nothing."""
    bases: tuple[str, ...]
    """References of images that it builds on or copies from, as written with arguments put in, sorted."""


def read_dockerfile(text: str, arguments: Mapping[str, str]) -> Dockerfile:
    """What a Dockerfile declares and needs, given the build arguments."""
    declared: set[str] = set()
    values: dict[str, str] = {}
    stages: set[str] = {"scratch"}
    needed: set[str] = set()
    for instruction in instructions(text):
        words = instruction.rest.split()
        if instruction.name == "ARG":
            for name, default in _declarations(instruction.rest):
                declared.add(name)
                # only those before the first FROM are seen by FROM lines
                if len(stages) == 1 and not needed:
                    values[name] = arguments.get(name, _expanded(default, values))
        elif instruction.name == "FROM":
            plain = [_expanded(word, values) for word in words if not word.startswith("--")]
            needed.update(name for name in plain[:1] if name.lower() not in stages)
            stages.update(word.lower() for word in plain[2:3])
        else:
            needed.update(name for name in _sources(instruction) if name.lower() not in stages and not name.isdigit())
    return Dockerfile(frozenset(declared), tuple(sorted(needed - {""})))


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions with continued lines joined; bodies of here-documents are left out."""
    lines = text.splitlines()
    escape = _escape_character(lines)
    position = 0
    while position < len(lines):
        start = position
        joined, position = _joined(lines, position, escape)
        name, _, rest = joined.strip().partition(" ")
        if name:
            yield Instruction(name.upper(), rest.strip(), start + 1)
        if name.upper() in _HEREDOC_INSTRUCTIONS:
            position = _after_heredocs(lines, position, rest)


def _escape_character(lines: list[str]) -> str:
    for line in lines:
        directive = _DIRECTIVE.match(line.strip())
        if not directive:
            break
        if directive[1].lower() == "escape":
            return directive[2]
    return "\\"


def _joined(lines: list[str], position: int, escape: str) -> tuple[str, int]:
    """One instruction, and the line after it; comments and empty lines may stand between continued lines."""
    joined = ""
    while position < len(lines):
        line = lines[position]
        position += 1
        stripped = line.strip()
        if stripped.startswith("#") or (joined and not stripped):
            if joined:
                continue
            return "", position
        line = line.replace("\t", " ").rstrip()
        if not line.endswith(escape):
            return joined + line, position
        joined += line[: -len(escape)]
    return joined, position


def _after_heredocs(lines: list[str], position: int, rest: str) -> int:
    for dash, _, end in _HEREDOC.findall(rest):
        while position < len(lines):
            line = lines[position].lstrip("\t") if dash else lines[position]
            position += 1
            if line == end:
                break
    return position


def _declarations(rest: str) -> Iterator[tuple[str, str]]:
    for match in re.finditer(r"(\w+)(?:=(\"[^\"]*\"|'[^']*'|\S*))?", rest):
        yield match[1], (match[2] or "").strip("\"'")


def _sources(instruction: Instruction) -> Iterator[str]:
    """Images that COPY --from and RUN --mount name; names of stages are among them."""
    if instruction.name == "COPY":
        yield from re.findall(r"--from=(\S+)", instruction.rest)
    elif instruction.name == "RUN":
        for mount in re.findall(r"--mount=(\S+)", instruction.rest):
            yield from (part[5:] for part in mount.split(",") if part.startswith("from="))


def _expanded(text: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name is None:
            return "$"
        found, operator, word = values.get(name), match[3] or "", match[4] or ""
        present = bool(found) if operator.startswith(":") else found is not None
        if operator.endswith("+"):
            return word if present else ""
        return found or "" if present or not operator else word

    return _VARIABLE.sub(value, text.strip("\"'"))
