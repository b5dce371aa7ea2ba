"""Controllers of agents as processes of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path


@contextlib.asynccontextmanager
async def running(
    program: str, arguments: Sequence[str], home: Path, environment: Mapping[str, str], *, name: str = ""
) -> AsyncIterator[None]:
    """A program, under another ``name`` where one is given; its output is beside ``home``. It ends with the body."""
    called = name or Path(program).name
    with home.with_name(f"{called}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            called,
            *arguments,
            executable=program,
            cwd=home,
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
