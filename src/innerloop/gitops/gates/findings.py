"""What a gate tells."""

from __future__ import annotations

from typing import NamedTuple

from innerloop.project import Gate


class Finding(NamedTuple):
    """Something that stops a promotion, unless it is allowed. Never has the value of a Secret in it."""

    gate: Gate
    object: str
    """``Kind/name``; ``Variable/NAME`` for a value of the configuration; empty for what concerns neither."""
    message: str
    where: str
    """Template or file that it comes from, with its line where it is known."""
    hint: str
    allowed: str = ""
    """The reason of the exemption that lets it through."""
