"""What can be the name of a namespace: told before anything is rendered or built."""

from __future__ import annotations

import re

from innerloop.errors import Location, LoopError

# RFC 1123 label
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def check_namespace(name: str, where: Location | None = None) -> None:
    """Raises LoopError for a name that no namespace can have."""
    if not _NAME.fullmatch(name):
        hint = "lower case letters, digits and '-' between them, at most 63"
        raise LoopError(f"'{name}' cannot be the name of a namespace", where=where, hint=hint)
