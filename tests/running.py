"""Whether processes run."""

from __future__ import annotations

from pathlib import Path


def is_running(process: int) -> bool:
    """Not so of one that ended and was not waited for yet."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    # the program's name before it may have anything in it
    return status.rpartition(")")[2].split()[0] != "Z"
