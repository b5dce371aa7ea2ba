"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from innerloop.errors import LoopError


def write_whole(file: Path, content: bytes) -> None:
    """Write a file, with its folders, so that a reader sees the old or the new content; for its owner only.

    Raises LoopError when the disk refuses.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as opened:
                opened.write(content)
            os.replace(temporary, file)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise LoopError(f"cannot write {file}: {error.strerror}", hint="free disk space, or mend its rights") from error
