"""File names for people: file systems take any bytes, terminals and JSON do not."""

from __future__ import annotations

import os


def shown(path: str | bytes | os.PathLike[str]) -> str:
    """A path with what is no printable text written as Python would: ``\\n``, ``\\x1b``, ``\\xff``."""
    text = os.fsencode(path).decode(errors="backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
