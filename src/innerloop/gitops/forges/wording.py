"""Texts within the limits of a forge."""

from __future__ import annotations

_CUT = "\n\n*Cut here: it is longer than {forge} takes.*"


def title(text: str, limit: int) -> str:
    """One line of at most ``limit`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def body(text: str, limit: int, forge: str) -> str:
    """Markdown of at most ``limit`` characters, cut at the end of a line with a note that it was.

    A code block or a ``<details>`` that the cut leaves open is closed, or the note would be part of it.
    """
    if len(text) <= limit:
        return text
    note = _CUT.format(forge=forge)
    # room for what may have to be closed
    kept = text[: limit - len(note) - 40]
    kept = kept[: kept.rfind("\n")] if "\n" in kept else kept
    fence = _open_fence(kept)
    closing = f"\n{fence}" if fence else ""
    closing += "\n\n</details>" * min(kept.count("<details") - kept.count("</details>"), 2)
    return kept + closing + note


def _open_fence(text: str) -> str:
    """The fence that closes the code block at the end of ``text``, empty outside of one."""
    fence = ""
    for line in text.splitlines():
        mark = line.strip()
        ticks = mark[: len(mark) - len(mark.lstrip("`"))]
        if not fence and len(ticks) >= 3:
            fence = ticks
        elif fence and len(ticks) >= len(fence) and mark == ticks:
            fence = ""
    return fence[:12]
