"""What is known of each local cluster: one folder per cluster below the state folder, with ``record.json`` in it.

The folder is the first thing that ``up`` makes and the last that ``down`` removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, Literal

import msgspec

from innerloop.errors import LoopError
from innerloop.paths import state_dir
from innerloop.storage import write_whole

DEFAULT_NAME = "innerloop"

ProviderName = Literal["kind", "k3d", "minikube", "built-in"]

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
"""A DNS label, as names of clusters are parts of node, container and context names; k3d takes at most 32 itself."""
_LOCK_POLL_SECONDS = 0.1


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What ``up`` did, as far as ``down`` must know it."""

    provider: ProviderName
    name: str
    context: str
    merged: tuple[str, ...] = ()
    """The user's kubeconfig files into which the context was written."""
    block: str = ""
    """Built-in: the cluster's addresses, e.g. ``10.140.0.0/16``."""
    registry_port: int = 0
    """Built-in: where the registry listens at 127.0.0.1."""


def clusters_dir() -> Path:
    return state_dir() / "clusters"


def folder_of(name: str) -> Path:
    """Raises LoopError for a name that can't be a cluster's."""
    if not _NAME.fullmatch(name):
        raise LoopError(
            f"{name!r} can't be a cluster's name",
            detail="a name has at most 40 lower-case letters, digits and dashes, no dash at its ends",
        )
    return clusters_dir() / name


def kubeconfig_of(name: str) -> Path:
    return folder_of(name) / "kubeconfig"


def kubeconfigs() -> list[Path]:
    """The kubeconfig files of all clusters that ``loop cluster up`` made."""
    return sorted(clusters_dir().glob("*/kubeconfig"))


def read(name: str) -> Record | None:
    """The record of a cluster, None when there is none."""
    file = folder_of(name) / "record.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        raise LoopError(
            f"cannot read the record of cluster {name}: {error}", hint=f"remove the cluster: loop cluster down {name}"
        ) from error


def read_all() -> list[Record]:
    """Every cluster that has a readable record, by name."""
    found = []
    for file in sorted(clusters_dir().glob("*/record.json")):
        with contextlib.suppress(LoopError):
            record = read(file.parent.name)
            if record is not None:
                found.append(record)
    return found


def write(record: Record) -> None:
    # with keys, the data of pods and the images in it
    folder_of(record.name).mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(folder_of(record.name) / "record.json", msgspec.json.format(msgspec.json.encode(record)))


def remove(name: str) -> None:
    """Remove the cluster's folder; the record goes last, so that an interrupted removal can be repeated."""
    folder = folder_of(name)
    if not folder.exists():
        return
    for entry in folder.iterdir():
        if entry.name == "record.json":
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    shutil.rmtree(folder)


@contextlib.asynccontextmanager
async def locked(name: str, waiting: Callable[[], None] = lambda: None) -> AsyncIterator[None]:
    """Hold the lock of a cluster (or of ``.addresses``); calls ``waiting`` once when another process has it."""
    clusters_dir().mkdir(parents=True, exist_ok=True)
    async with file_lock(clusters_dir() / f".{name.lstrip('.')}.lock", waiting):
        yield


@contextlib.asynccontextmanager
async def file_lock(file: Path, waiting: Callable[[], None]) -> AsyncIterator[None]:
    """Hold an exclusive lock on ``file``, which exists only meanwhile; the kernel releases it when the process ends."""
    # not at the top: every command reads where clusters are, few need an event loop
    import asyncio

    told = False
    while not (stream := _try_lock(file)):
        if not told:
            waiting()
            told = True
        await asyncio.sleep(_LOCK_POLL_SECONDS)
    with stream:
        try:
            yield
        finally:
            # while still locked: who waits for this very file sees that it is gone and takes a new one
            file.unlink(missing_ok=True)


def _try_lock(file: Path) -> IO[bytes] | None:
    stream = file.open("wb")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(stream.fileno()), file.stat()):
            return stream
    except (BlockingIOError, FileNotFoundError):
        pass
    stream.close()
    return None
