"""Memory that is free, but that the C library keeps."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Return free memory to the system; takes some milliseconds.

    glibc (malloc(3)) keeps what large tables left in its heap once it has seen one of them freed; others need no call.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
