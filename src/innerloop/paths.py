"""Folders that innerloop owns, by the XDG base directory specification 0.8."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT_STATE = ".loop"
"""Folder beside ``loop.yaml`` with the chosen context, locks and sockets; carries its own ``.gitignore``."""


def cache_dir() -> Path:
    """What can be made again: compiled node, base images, charts, clones."""
    return _base("XDG_CACHE_HOME", ".cache") / "innerloop"


def state_dir() -> Path:
    """What outlives a session: clusters, logs of builds, crash files."""
    return _base("XDG_STATE_HOME", ".local/state") / "innerloop"


def project_state(folder: Path) -> Path:
    """The project's own ignored state folder, made when missing."""
    state = folder / PROJECT_STATE
    if not state.is_dir():
        state.mkdir(parents=True, exist_ok=True)
        (state / ".gitignore").write_text("*\n")
    return state


def _base(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    # the specification: relative paths in these variables are invalid and to be ignored
    return Path(value) if value.startswith("/") else Path.home() / default
