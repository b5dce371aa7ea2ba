"""Keys while a session runs, on a terminal of its own."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import sys
import termios
from collections.abc import Callable

PROGRAM = """\
import asyncio
from innerloop.cli import main
from innerloop.cli.running import run
from innerloop.ui.keys import keys

async def work(emit):
    pressed = asyncio.Queue()
    with keys(pressed.put_nowait) as interactive:
        print("interactive" if interactive else "not", flush=True)
        while True:
            print("key", await pressed.get(), flush=True)

try:
    run(work)
except KeyboardInterrupt:
    raise SystemExit(130)
"""


def controlling(descriptor: int) -> Callable[[], None]:
    """Makes a terminal that of the process that calls it."""

    def make() -> None:
        fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)

    return make


async def test_keys_are_read_until_the_terminal_is_closed() -> None:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        stdin=theirs,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        preexec_fn=controlling(theirs),
    )
    os.close(theirs)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"interactive\n"
    os.write(ours, b"r")
    assert await process.stdout.readline() == b"key r\n"
    os.close(ours)
    _, errors = await process.communicate()
    assert (process.returncode, errors) == (130, b"")
