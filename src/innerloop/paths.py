"""Folders that innerloop owns, by the XDG base directory specification 0.8."""

from __future__ import annotations

import os
from pathlib import Path

from innerloop.errors import LoopError

PROJECT_STATE = ".loop"
"""Folder beside ``loop.yaml`` with the chosen context, locks and sockets; carries its own ``.gitignore``."""

LOCK_FILE = "loop.lock"
"""File beside ``loop.yaml`` with what environments are rendered with."""


def cache_dir() -> Path:
    """What can be made again: compiled node, base images, charts, clones."""
    return _base("XDG_CACHE_HOME", ".cache") / "innerloop"


def state_dir() -> Path:
    """What outlives a session: clusters, logs of builds, crash files."""
    return _base("XDG_STATE_HOME", ".local/state") / "innerloop"


def runtime_dir() -> Path:
    """Sockets, whose paths have to be short: ``$XDG_RUNTIME_DIR``, else a private folder in /tmp.

    Raises LoopError when that folder belongs to someone else: a socket in it could not be trusted.
    """
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    if given.startswith("/"):
        return Path(given) / "innerloop"
    folder = Path("/tmp") / f"innerloop-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise LoopError(f"{folder} belongs to someone else", hint="set XDG_RUNTIME_DIR to a private folder")
    return folder


def project_state(folder: Path) -> Path:
    """The project's own ignored state folder, made when missing. Raises LoopError when the disk refuses."""
    state = folder / PROJECT_STATE
    ignore = state / ".gitignore"
    try:
        state.mkdir(parents=True, exist_ok=True)
        if not ignore.is_file() or not ignore.stat().st_size:
            ignore.write_text("*\n")
    except OSError as error:
        raise LoopError(
            f"cannot write {state}: {error.strerror}", hint="free disk space, or mend its rights"
        ) from error
    return state


def _base(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    # the specification: relative paths in these variables are invalid and to be ignored
    return Path(value) if value.startswith("/") else Path.home() / default
