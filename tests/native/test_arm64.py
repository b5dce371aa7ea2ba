"""The arm64 program, run by qemu's user-mode emulation."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from innerloop.dev.sync.protocol import Difference, RestartResult, SignalResult
from tests.native.connecting import entries, helper_on
from tests.native.receiver import expect_file, file

EMULATOR = "qemu-aarch64-static"
INSTALL = ["apt-get", "install", "--yes", "--no-install-recommends", "qemu-user-static"]


@pytest.fixture(scope="session")
def emulated(build: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that runs the arm64 one; the emulator is installed if need be, which takes root."""
    if shutil.which(EMULATOR) is None:
        assert os.getuid() == 0, f"{EMULATOR} is not there: {' '.join(INSTALL)}"
        subprocess.run(["apt-get", "update"], check=True, capture_output=True)
        subprocess.run(
            INSTALL, check=True, capture_output=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        )
    program = tmp_path_factory.mktemp("arm64") / "loop-helper"
    program.write_text(f'#!/bin/sh\nexec {EMULATOR} {build.build("arm64")} "$@"\n')
    program.chmod(0o755)
    return program


async def test_arm64_program_writes_compares_and_tells_of_changes(emulated: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    async with helper_on(emulated, [root]) as helper:
        await helper.connection.write(file("folder/a.txt", b"content" * 1000, 0o755))
        assert await helper.connection.commit() == []
        results = await helper.connection.check([expect_file("folder/a.txt", b"content" * 1000, 0o755)])
        assert list(results) == [Difference.SAME]
        listed = await helper.connection.list_folder(0, b"folder", watch=True)
        assert entries(listed).keys() == {b"a.txt"}
        (root / "folder/b.txt").write_text("by the container")
        await helper.until_told(b"folder", b"b.txt")
        content = await helper.connection.read(0, b"folder/b.txt", 3, 100)
        assert content.data == b"the container"


async def test_arm64_supervisor_passes_the_end_and_its_status_on(emulated: Path) -> None:
    script = "trap 'exit 7' TERM; echo started; while :; do sleep 0.05; done"
    # a mount namespace of its own, by which supervisors are told apart
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--mount", str(emulated), "run", "--", "sh", "-c", script), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        assert process.stdout is not None
        assert await process.stdout.readline() == b"started\n"
        process.terminate()
        assert await process.wait() == 7


async def test_arm64_supervisor_restarts_and_signals_its_command(emulated: Path, tmp_path: Path) -> None:
    script = "trap 'echo got it' HUP; echo started; while :; do sleep 0.05; done"
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--mount", str(emulated), "run", "--", "sh", "-c", script), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    container = ("nsenter", "--target", str(process.pid), "--mount")
    async with asyncio.timeout(60):
        assert await process.stdout.readline() == b"started\n"
        async with helper_on(emulated, [tmp_path], within=container) as helper:
            assert await helper.connection.signal(signal.SIGHUP) == SignalResult.SENT
            assert await process.stdout.readline() == b"got it\n"
            assert (await (await helper.connection.restart())).result == RestartResult.STARTED
            assert await process.stdout.readline() == b"started\n"
        process.terminate()
        assert await process.wait() == 128 + signal.SIGTERM
