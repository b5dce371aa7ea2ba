"""Single keys from the terminal while a session runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def keys(on_key: Callable[[str], None]) -> Iterator[bool]:
    """Call ``on_key`` for each key pressed while the body runs; yields whether there is a terminal to read.

    The terminal is in cbreak mode meanwhile: no Enter needed, no echo, ^C still a signal. It is restored at the end.
    A session in the background (``loop dev &``) must not touch the terminal: it would be stopped by SIGTTOU.
    """
    if not sys.stdin.isatty() or os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp():
        yield False
        return
    descriptor = sys.stdin.fileno()
    former = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()

    def read() -> None:
        text = ""
        # EIO: the terminal was closed, SIGHUP ends the session
        with contextlib.suppress(OSError):
            text = os.read(descriptor, 64).decode(errors="ignore")
        if not text:
            loop.remove_reader(descriptor)
        for key in text:
            on_key(key)

    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, read)
    try:
        yield True
    finally:
        loop.remove_reader(descriptor)
        # a terminal that was closed has nothing to restore
        with contextlib.suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSADRAIN, former)
