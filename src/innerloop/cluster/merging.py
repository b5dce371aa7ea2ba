"""Putting a cluster's context into the user's kubeconfig, only when asked, and taking it out again.

The file is written whole or not at all, under the lock that kubectl takes (client-go, ``clientcmd.lockFile``).
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import yaml

from innerloop.cluster import kubeconfig_text
from innerloop.cluster.kubeconfig_text import LISTS
from innerloop.errors import Location, LoopError
from innerloop.storage import write_whole

LOCK_SECONDS = 3.0


def users_file() -> Path:
    """The file that kubectl would write a new context to."""
    named = [entry for entry in os.environ.get("KUBECONFIG", "").split(os.pathsep) if entry]
    return Path(named[0]).absolute() if named else Path.home() / ".kube" / "config"


async def merge(source: Path, target: Path) -> None:
    """Put the one context of ``source`` into ``target``, which is made when missing.

    It becomes the current one only where there was none. Raises LoopError, and changes nothing, when ``target`` has
    something else under one of the names, or can't be read.
    """
    new = _parsed(source.read_text(), source)
    async with _locked(target):
        text = _read(target)
        wanted = copy.deepcopy(_parsed(text, target))
        for name in LISTS:
            entry = new[name][0]
            if _is_missing(wanted, name, entry, target):
                text = kubeconfig_text.with_entry(text, name, entry)
                wanted[name] = [*(wanted.get(name) or []), entry]
        if not wanted.get("current-context"):
            text = kubeconfig_text.with_current(text, new["current-context"])
            wanted["current-context"] = new["current-context"]
        _write(target, text, wanted)


async def withdraw(context: str, target: Path) -> None:
    """Take a context with its cluster and user, all of that name, out of ``target``."""
    if not target.exists():
        return
    async with _locked(target):
        text = _read(target)
        wanted = copy.deepcopy(_parsed(text, target))
        for name in LISTS:
            names = [item.get("name") for item in wanted.get(name) or []]
            if context in names:
                text = kubeconfig_text.without_entry(text, name, names.index(context))
                del wanted[name][names.index(context)]
        if wanted.get("current-context") == context:
            text = kubeconfig_text.with_current(text, "")
            wanted["current-context"] = ""
        _write(target, text, wanted)


def _is_missing(content: dict[str, Any], name: str, entry: dict[str, Any], file: Path) -> bool:
    there = [item for item in content.get(name) or [] if item.get("name") == entry["name"]]
    if there and there[0] != entry:
        raise LoopError(
            f"{name} has another entry named {entry['name']}",
            where=Location(str(file)),
            hint=f"remove it: kubectl config unset {name}.{entry['name']}",
        )
    return not there


def _parsed(text: str, file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = Location(str(file), mark.line + 1, mark.column + 1) if mark else Location(str(file))
        raise LoopError(f"this kubeconfig is not YAML: {error.problem}", where=where) from error
    if content is not None and not isinstance(content, dict):
        raise LoopError("this is not a kubeconfig", where=Location(str(file)))
    return content or {}


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return "apiVersion: v1\nkind: Config\n"
    except (OSError, UnicodeDecodeError) as error:
        raise LoopError(f"cannot read this kubeconfig: {error}", where=Location(str(file))) from error


def _write(file: Path, text: str, wanted: dict[str, Any]) -> None:
    if _parsed(text, file) != wanted:
        raise LoopError(
            "this kubeconfig is written in a way that can't be changed safely",
            where=Location(str(file)),
            hint="name both files instead: export KUBECONFIG=$KUBECONFIG:…, see 'loop cluster status'",
        )
    # a link stays a link
    real = Path(os.path.realpath(file))
    mode = real.stat().st_mode & 0o777 if real.exists() else 0o600
    write_whole(real, text.encode())
    real.chmod(mode)


@contextlib.asynccontextmanager
async def _locked(file: Path) -> AsyncIterator[None]:
    lock = file.with_name(f"{file.name}.lock")
    deadline = asyncio.get_running_loop().time() + LOCK_SECONDS
    file.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0o600))
            break
        except FileExistsError as error:
            if asyncio.get_running_loop().time() > deadline:
                raise LoopError(
                    "this kubeconfig is locked by another program",
                    where=Location(str(file)),
                    hint=f"if none is running, remove {lock}",
                ) from error
            await asyncio.sleep(0.05)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
