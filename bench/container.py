"""The developed container, seen from its node, which has to be this machine: no tool's own way takes part.

The pod's address is asked directly, and files are read in the container's own root file system.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bench import machine
from bench.cluster import kubectl
from bench.measuring import NotMeasured
from bench.sample import NAME, PORT, Sample

POLL_SECONDS = 0.0005
LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 120.0
_REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"


class Container(NamedTuple):
    pod: str
    address: str
    id: str
    pid: int
    """Of its process 1, as this machine counts."""

    def place(self, path: str) -> Path:
        """Where the container's absolute path is found from here."""
        return Path(f"/proc/{self.pid}/root{path}")

    def processes(self) -> list[int]:
        return [pid for pid in machine.processes() if machine.is_in(pid, self.id)]

    def enter(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a program in the container without Kubernetes' help, in a process group of its own."""
        namespaces = ("--mount", "--net", "--pid", "--root", "--wd=/")
        return subprocess.Popen(
            ["nsenter", "--target", str(self.pid), *namespaces, "--", *command], start_new_session=True
        )


def container(sample: Sample) -> Container:
    """The running container of the newest pod of the sample; waits for it.

    Raises NotMeasured where the container does not run on this machine.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        pods = msgspec.json.decode(
            kubectl("get", "pods", "--namespace", sample.namespace, "--selector", f"app={NAME}", "--output", "json")()
        )["items"]
        running = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"] and _started(pod)]
        if len(running) == 1:
            pod = running[0]
            id = _started(pod).rpartition("/")[2]
            for pid in machine.processes():
                if machine.is_first(pid) and machine.is_in(pid, id):
                    return Container(pod["metadata"]["name"], pod["status"]["podIP"], id, pid)
        time.sleep(0.2)
    raise NotMeasured(f"no single container of {sample.namespace} runs on this machine: the bench needs to be its node")


def _started(pod: dict[str, Any]) -> str:
    """The id of its one container, once that runs."""
    found = [one["containerID"] for one in pod["status"].get("containerStatuses", []) if "running" in one["state"]]
    return str(found[0]) if found else ""


class Page:
    """What a server answers, asked again and again over one kept connection."""

    def __init__(self, address: str, port: int = PORT) -> None:
        self._place = (address, port)
        self._socket: socket.socket | None = None

    def until(self, page: bytes, patience: float = PATIENCE_SECONDS) -> float:
        """When (``time.perf_counter``) the page was served first. Raises NotMeasured when it is not in time."""
        deadline = time.perf_counter() + patience
        while time.perf_counter() < deadline:
            if self.get() == page:
                return time.perf_counter()
            time.sleep(POLL_SECONDS)
        raise NotMeasured(f"the pod does not serve {page!r}, after {patience:.0f} s it still says {self.get()!r}")

    def get(self) -> bytes:
        """The page; empty while nobody answers."""
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._place, timeout=1)
            self._socket.sendall(_REQUEST)
            return self._answer(self._socket)
        except OSError:
            self.close()
            return b""

    def close(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None

    def _answer(self, source: socket.socket) -> bytes:
        received = b""
        while True:
            data = source.recv(65536)
            if not data:
                raise ConnectionResetError("closed")
            received += data
            head, found, page = received.partition(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0) if found else 0
            if found and len(page) == size:
                return page


def wait_equal(root: Path, wanted: Mapping[str, bytes], patience: float = PATIENCE_SECONDS) -> float:
    """Wait until the files below ``root`` have the wanted content.

    Returns when (``time.time``) the last of them came into its place: its inode tells, so that looking seldom costs no
    accuracy. Only some are looked at until those are right. Raises NotMeasured when that takes longer than
    ``patience``.
    """
    deadline = time.monotonic() + patience
    some = {path: wanted[path] for path in list(wanted)[:: max(1, len(wanted) // 20)]}
    for files in (some, wanted):
        while wrong := next((path for path, content in files.items() if _content(root / path) != content), None):
            if time.monotonic() > deadline:
                raise NotMeasured(f"{root / wrong} is not as it should be after {patience:.0f} s")
            time.sleep(LOOK_SECONDS)
    return last_change(root, wanted)


def last_change(root: Path, paths: Iterable[str]) -> float:
    return max(os.stat(root / path).st_ctime_ns for path in paths) / 1e9


def first_write(root: Path, paths: Iterable[str]) -> float:
    """When (``time.time``) the first of some files was written."""
    return min(os.stat(root / path).st_mtime_ns for path in paths) / 1e9


def _content(place: Path) -> bytes | None:
    try:
        return place.read_bytes()
    except OSError:
        return None
