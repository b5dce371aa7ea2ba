"""The helper program, built for this machine, as a real process."""

from __future__ import annotations

import asyncio
import importlib.util
import platform
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.native.receiver import Receiver

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


@pytest.fixture(scope="session")
def build() -> Any:
    """native/helper/build.py as a module."""
    place = Path(__file__).parents[2] / "native/helper/build.py"
    spec = importlib.util.spec_from_file_location("helper_build", place)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def build_of_this_machine(build: Any) -> Path:
    """The program as it is shipped."""
    path: Path = build.build(ARCHITECTURE)
    return path


@pytest.fixture(scope="session", params=["shipped", "sanitized"])
def helper(request: pytest.FixtureRequest, build: Any) -> Path:
    """The program as it is shipped, and one that reports wrong memory accesses and undefined behaviour."""
    path: Path = build.build(ARCHITECTURE) if request.param == "shipped" else build.build_sanitized()
    return path


@pytest.fixture
async def receiver(helper: Path, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Receiver]]]:
    """Starts receivers on folders below tmp_path; they have to end in order."""
    async with AsyncExitStack() as stack:

        async def start(*roots: str) -> Receiver:
            process = await asyncio.create_subprocess_exec(
                helper,
                "sync",
                *(str(tmp_path / root) for root in roots or ("root",)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            started = Receiver(process)
            stack.push_async_callback(started.end)
            await started.greet()
            return started

        yield start
