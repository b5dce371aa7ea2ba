"""Entering a container: on a real terminal (a pty), and with pipes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from innerloop.kube.client import Client
from innerloop.kube.execution import run
from tests.kube import pods
from tests.waiting import until

pytestmark = pytest.mark.cluster

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
async def box(client: Client) -> AsyncIterator[str]:
    """The namespace of pod ``box`` with containers ``bash`` (has one) and ``busy`` (has only sh)."""
    async with pods.fresh_namespace(client) as namespace:
        bash = pods.container("bash", ["sleep", "100000"], pods.PYTHON)
        await pods.start(client, pods.pod(namespace, "box", [bash, pods.container("busy")]))
        yield namespace


class Terminal:
    """A terminal with a program in it."""

    def __init__(self, program: list[str], columns: int, rows: int) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(columns, rows)
        os.set_blocking(self.master, False)
        self.shown = ""
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            program,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            # the size's signal goes to the terminal's own session
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def resize(self, columns: int, rows: int) -> None:
        termios.tcsetwinsize(self.master, (rows, columns))

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    async def until(self, pattern: str) -> str:
        """What is shown, once ``pattern`` is in it."""

        def found() -> bool:
            self.read()
            return re.search(pattern, self.shown) is not None

        try:
            await until(found, timeout=30)
        except AssertionError:
            raise AssertionError(f"{pattern!r} is not in {self.shown!r}") from None
        return self.shown

    async def ended(self) -> int:
        """The exit status."""

        def ended() -> bool:
            self.read()
            return self.process.poll() is not None

        await until(ended, timeout=30)
        return self.process.returncode

    def read(self) -> None:
        try:
            while data := os.read(self.master, 65536):
                self.shown += data.decode(errors="replace")
        except OSError:
            return

    @property
    def is_restored(self) -> bool:
        return termios.tcgetattr(self.slave) == self.before


def program(kubeconfig: Path, namespace: str, container: str, *command: str) -> list[str]:
    return [sys.executable, "-m", "tests.dev.enter_program", str(kubeconfig), namespace, "box", container, *command]


@contextmanager
def terminal(program: list[str], columns: int = 90, rows: int = 30) -> Iterator[Terminal]:
    opened = Terminal(program, columns, rows)
    try:
        yield opened
    finally:
        if opened.process.poll() is None:
            opened.process.kill()
            opened.process.wait()
        os.close(opened.master)
        os.close(opened.slave)


async def piped(program: list[str], data: bytes | None, **options: Any) -> tuple[int, bytes, bytes]:
    """Status, stdout and stderr of a program that gets ``data`` through a pipe."""
    process = await asyncio.create_subprocess_exec(
        *program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )
    async with asyncio.timeout(60):
        stdout, stderr = await process.communicate(data)
    assert process.returncode is not None
    return process.returncode, stdout, stderr


async def test_shell_with_size_interrupt_and_status(kubeconfig: Path, box: str) -> None:
    with terminal(program(kubeconfig, box, "bash"), 97, 31) as shown:
        await shown.until(r"\$|# $")
        shown.type("echo shell=$0; stty size\r")
        await shown.until(r"shell=bash\r\n31 97\r\n")
        assert not shown.is_restored
        shown.resize(60, 20)
        await asyncio.sleep(0.5)
        shown.type("stty size\r")
        await shown.until(r"20 60\r\n")
        shown.type("sleep 1000\r")
        await asyncio.sleep(0.5)
        shown.type("\x03")
        shown.type("echo interrupted=$?\r")
        await shown.until(r"interrupted=130\r\n")
        shown.type("exit 5\r")
        assert await shown.ended() == 5
        assert shown.is_restored


async def test_sh_where_there_is_no_bash(kubeconfig: Path, box: str) -> None:
    with terminal(program(kubeconfig, box, "busy")) as shown:
        await shown.until(r"# ")
        shown.type("echo shell=$0; exit\r")
        await shown.until("shell=sh\r\n")
        assert await shown.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_terminal_is_restored_when_we_are_ended(kubeconfig: Path, box: str, number: signal.Signals) -> None:
    with terminal(program(kubeconfig, box, "busy", "sh", "-c", "echo up; sleep 1000")) as shown:
        await shown.until("up")
        assert not shown.is_restored
        shown.process.send_signal(number)
        status = await shown.ended()
        assert shown.is_restored
        assert status in (128 + number, -number)


async def test_terminal_is_restored_when_the_pod_goes(kubeconfig: Path, client: Client, namespace: str) -> None:
    await pods.start(client, pods.pod(namespace, "box", [pods.container("busy")]))
    with terminal(program(kubeconfig, namespace, "busy", "sh", "-c", "echo up; sleep 1000")) as shown:
        await shown.until("up")
        await pods.remove(client, namespace, "box")
        assert await shown.ended() in (1, 137)
        assert shown.is_restored


async def test_pipes_carry_bytes_and_their_end(kubeconfig: Path, box: str) -> None:
    data = bytes(range(256)) * 20_000
    script = "cat; echo oops >&2; exit 3"
    result = await piped(program(kubeconfig, box, "busy", "sh", "-c", script), data)
    assert (result[0], result[1] == data, result[2]) == (3, True, b"oops\n")


async def test_files_carry_bytes_too(kubeconfig: Path, box: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(bytes(MEGABYTE))
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as target:
        process = await asyncio.create_subprocess_exec(
            *program(kubeconfig, box, "busy", "cat"), stdin=source, stdout=target
        )
        assert await process.wait() == 0
    assert (tmp_path / "out").read_bytes() == bytes(MEGABYTE)


async def test_shell_reads_commands_from_a_pipe(kubeconfig: Path, box: str) -> None:
    assert await piped(program(kubeconfig, box, "busy"), b"echo hi\nexit 4\n") == (4, b"hi\n", b"")


async def test_without_stdin(kubeconfig: Path, box: str) -> None:
    closing = ["sh", "-c", 'exec "$@" <&-', "sh", *program(kubeconfig, box, "busy", "echo", "hi")]
    assert await piped(closing, None) == (0, b"hi\n", b"")


async def test_image_without_a_shell(kubeconfig: Path, client: Client, namespace: str) -> None:
    bare = pods.container("bare", ["/bin/sleep", "1000"], volumeMounts=[{"name": "none", "mountPath": "/none"}])
    await pods.start(client, pods.pod(namespace, "box", [bare], volumes=[{"name": "none", "emptyDir": {}}]))
    await run(client, namespace, "box", "bare", ["rm", "/bin/sh"])
    status, _, stderr = await piped(program(kubeconfig, namespace, "bare"), b"")
    assert status == 1
    assert b"container bare of pod box has no shell" in stderr
