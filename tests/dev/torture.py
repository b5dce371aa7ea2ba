"""A load of saves, and a reader in the container that checks what it sees of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from innerloop.dev.pods import PodContainer
from tests.dev import saving_program
from tests.dev.service import Service

_CHECK = (Path(__file__).parent / "checking_program.py").read_text()


class Load:
    """Saves on their way into ``folder``."""

    def __init__(self, folder: Path, saves: int, seconds: float) -> None:
        self.seed = secrets.token_hex(4)
        self._arguments = (folder, self.seed, str(saves), str(seconds))

    async def run(self) -> None:
        """All of them; returns when the last one is done."""
        print(f"seed {self.seed}")
        program = ("-m", saving_program.__name__)
        root = Path(__file__).parents[2]
        saving = await asyncio.create_subprocess_exec(sys.executable, *program, *self._arguments, cwd=root)
        try:
            assert await saving.wait() == 0
        finally:
            if saving.returncode is None:
                saving.kill()
                await saving.wait()


@contextlib.asynccontextmanager
async def checked(service: Service, container: PodContainer) -> AsyncIterator[dict[str, Any]]:
    """Reads and checks all the time; at the end of the context, its dictionary has what was seen."""
    mark = "/tmp/enough"
    seen: dict[str, Any] = {}
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(service.run(container, "python", "-c", _CHECK, "/app", mark), name="check")
        yield seen
        await service.run(container, "touch", mark)
        seen.update(json.loads(await reading))
