"""Globs of a dev target: which files restart it, are built into its image, or have actions follow."""

from __future__ import annotations

import os
from collections.abc import Iterable

from innerloop.dev.gitignore import Patterns


def parse_globs(globs: Iterable[str]) -> Patterns:
    """Globs relative to the synced folder as patterns to be asked about files: ``**`` spans folders, a folder with a
    slash at its end means all that is in it, ``!`` takes back what one before it names."""
    lines = []
    for glob in globs:
        sign, path = ("!", glob[1:]) if glob.startswith("!") else ("", glob)
        path = f"{path}**" if path.endswith("/") else path
        lines.append(os.fsencode(f"{sign}/{path.removeprefix('/').removeprefix('./')}"))
    return Patterns(lines)
