"""Differences as Markdown, for the text of a pull request and for a comment on the source's.

The same differences give the same text. Whatever an object has in it stays inside its code block: no text of a
manifest becomes a heading, a mention or a link.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from innerloop.gitops.differences.differences import Difference

LIMIT = 60_000
"""Characters, of a text that has others beside it: GitHub takes 65,536."""
SHORTEST = 300
"""Characters of a diff that are worth their frame; where less fits, the object is only named."""
NAMES = 1_000
"""Characters kept free for the names of objects that are not shown."""

_CUT = "\n\n*Cut here, {} more lines.*"

_SIGNS = {"added": "+", "changed": "~", "removed": "−"}


class Change(NamedTuple):
    """What a promotion would change, or changes, in one environment."""

    environment: str
    differences: Sequence[Difference]


def comment(changes: Sequence[Change], *, limit: int = LIMIT) -> str:
    """All environments: a table, then the objects of each, collapsed. At most about ``limit`` characters."""
    rows = [_row(change) for change in changes]
    lines = ["| environment | added | changed | removed |", "|---|---:|---:|---:|", *rows]
    parts = ["\n".join(lines)]
    left = limit - len(parts[0])
    for change in changes:
        if change.differences:
            part = f"### {_plain(change.environment)}\n\n{details(change.differences, limit=max(left, 0))}"
            parts.append(part)
            left -= len(part)
    return "\n\n".join(parts) + "\n"


def counted(differences: Sequence[Difference]) -> str:
    """``1 added, 2 changed``; ``no differences``."""
    counts = _counts(differences)
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "no differences"


def details(differences: Sequence[Difference], *, limit: int = LIMIT) -> str:
    """Each object with its diff, collapsed; where they become too long, cut, and the rest of them only named."""
    parts: list[str] = []
    left = limit - NAMES
    for number, difference in enumerate(differences):
        part = _block(difference, left)
        if part is None:
            parts.append(_rest(differences[number:], left + NAMES))
            break
        parts.append(part)
        left -= len(part) + 2
    return "\n\n".join(parts)


def fenced(text: str, language: str = "") -> str:
    """A code block that no line of ``text`` ends."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _row(change: Change) -> str:
    counts = _counts(change.differences)
    return f"| {_plain(change.environment)} | {' | '.join(str(count or '') for count in counts.values())} |"


def _counts(differences: Sequence[Difference]) -> Mapping[str, int]:
    return {kind: sum(one.kind == kind for one in differences) for kind in _SIGNS}


def _block(difference: Difference, limit: int) -> str | None:
    """One object, cut to ``limit``; None where no part of its diff would fit."""
    head, tail = f"<details><summary>{_named(difference)}</summary>\n\n", "\n\n</details>"
    whole = f"{head}{fenced(difference.text, 'diff')}{tail}"
    if len(whole) <= limit:
        return whole
    room = limit - (len(whole) - len(difference.text)) - len(_CUT) - len(str(len(difference.text)))
    if room < SHORTEST:
        return None
    kept = difference.text[:room].rpartition("\n")[0]
    missing = difference.text.count("\n") - kept.count("\n")
    return f"{head}{fenced(kept, 'diff')}{_CUT.format(missing)}{tail}"


def _rest(differences: Sequence[Difference], limit: int) -> str:
    """The names of those that are not shown, as far as they fit."""
    lines = ["*Too long to be shown here; `loop diff` shows it:*", ""]
    left = limit - len(lines[0]) - len("- and 1000000 more")
    for number, difference in enumerate(differences):
        line = f"- {_named(difference)}"
        left -= len(line) + 1
        if left < 0:
            return "\n".join([*lines, f"- {'and ' if number else ''}{len(differences) - number} more"])
        lines.append(line)
    return "\n".join(lines)


def _named(difference: Difference) -> str:
    """As HTML, which Markdown's marks are nothing in."""
    key = difference.key
    place = f" in {key.namespace}" if key.namespace else ""
    # an empty line would end the HTML
    name = " ".join(f"{key.kind}/{key.name}{place}".split())
    return f"{_SIGNS[difference.kind]} <code>{escape(name)}</code>"


def _plain(text: str) -> str:
    """Text in which no mark of Markdown or HTML counts."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~@-])", r"\\\1", escape(text, quote=False))
