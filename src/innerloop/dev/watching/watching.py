"""Which files changed, told at once.

On Linux directly by inotify: a file is reported when its writer closes it, so nothing has to be waited for. Elsewhere
by ``watchfiles``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from innerloop.dev.watching.batches import Ignores, Watch


def nothing(path: str, folder: bool) -> bool:
    """Ignores nothing."""
    return False


def watch(paths: Iterable[Path], ignore: Ignores = nothing) -> Watch:
    """Watch files and folders (with all below them), also ones that do not exist yet.

    ``ignore`` is asked for what is below the paths. Must be called in a running event
    loop; changes from the call on are reported. Raises LoopError, also later, when the system allows no more watches.
    """
    if sys.platform == "linux":
        from innerloop.dev.watching.linux import InotifyWatch

        return InotifyWatch(paths, ignore)
    from innerloop.dev.watching.elsewhere import WatchfilesWatch

    return WatchfilesWatch(paths, ignore)
