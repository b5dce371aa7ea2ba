"""Whether a file is just being written.

An editor that writes in place empties the file first; what is read then is nothing that anyone saved. The system
tells of the end of writing (a change of its own), but a file may be read for an earlier change while it is written
for the next.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys


def has_writer(descriptor: int) -> bool:
    """Whether some process has the file open for writing; ``descriptor`` must be open for reading only.

    False where the system cannot tell: it is asked for a lease (Linux, fcntl(2)), which it gives only to the file's
    owner, and not on every file system.
    """
    if sys.platform != "linux":
        return False
    try:
        # who opens the file in the microsecond of the lease waits for its end; the signal that tells us is ignored
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def is_finished(descriptor: int, before: tuple[int, int, int]) -> bool:
    """Whether what was read since ``before``, its version then, is what somebody saved."""
    # in this order: what a writer did before it closed the file shows in the version
    return not has_writer(descriptor) and version(descriptor) == before


def version(descriptor: int) -> tuple[int, int, int]:
    """Differs after a file was written."""
    status = os.fstat(descriptor)
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
