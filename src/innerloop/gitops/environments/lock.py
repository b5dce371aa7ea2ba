"""``loop.lock``: what every environment is rendered with, by content.

A fact a line and an entry each, sorted, so that two branches which lock different things merge.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from innerloop.config import checking, nodes, yaml
from innerloop.config.files import read, shown
from innerloop.config.nodes import Mapping, Scalar
from innerloop.config.problems import Problems
from innerloop.errors import Location, LoopError
from innerloop.paths import LOCK_FILE
from innerloop.storage import write_whole

VERSION = 1
"""A higher one is for programs that came later."""

_HEADER = """\
# What the environments are rendered with: images, charts and bases by digest, and the programs that render.
# Made by 'loop build --push --lock'; keep it in git.
"""
_HINT = "restore it from git, or lock anew: loop build --push --lock"
_READABLE = 0o644

Digest = Annotated[
    str, Meta(pattern=r"^sha(256|512):[0-9a-f]{64,128}$", description="sha256: and 64 hexadecimal digits")
]


class LaterLock(LoopError):
    """The lock was written by a later innerloop, whose facts must not be lost."""


class _Section(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, rename="camel"):
    pass


class LockedImage(_Section, frozen=True):
    """An image that the project builds."""

    digest: Digest
    """Of the manifest, in the image's own registry."""
    tag: str
    """By content, base images included."""
    inputs: str
    """Hash of what is in the project only: the same on every machine."""
    commit: str = ""
    """Source commit that it was first built from; empty where the project was in no repository."""
    clean: bool = True
    """Whether that commit had all of it."""


class LockedSource(_Section, frozen=True):
    """A chart or a base of someone else."""

    version: str
    digest: Digest
    """A chart's by the files in it, a base's by its objects."""


class Lock(_Section, frozen=True):
    version: int = VERSION
    engines: dict[str, str] = {}
    """``helm`` and ``kustomize`` to their versions."""
    images: dict[str, LockedImage] = {}
    """By full repository."""
    third_party_images: dict[str, Digest] = {}
    """By full name and tag, as ``docker.io/library/redis:7``."""
    charts: dict[str, LockedSource] = {}
    """By what the project says of a chart: its address and the wanted version."""
    bases: dict[str, LockedSource] = {}
    """Of kustomizations, by what these call them."""


def read_lock(folder: Path) -> Lock | None:
    """The lock of the project in ``folder``, None where it has none. Raises LoopError with the line of a mistake.

    LaterLock is one that is not to be overwritten.
    """
    file = folder / LOCK_FILE
    if not file.exists():
        return None
    problems = Problems()
    try:
        tree = yaml.parse(read(file), shown(file))
        if not isinstance(tree, Mapping):
            raise LoopError("a mapping is expected", where=Location(shown(file), 1))
        _check_version(tree)
        lock: Lock = checking.check(tree, Lock, problems)
        problems.check()
    except LoopError as error:
        error.hint = error.hint or _HINT
        raise
    return lock


def write_lock(folder: Path, lock: Lock) -> bool:
    """Write the lock, whole or not at all; returns whether that changed it. Raises LoopError when the disk refuses."""
    file = folder / LOCK_FILE
    content = (_HEADER + yaml.dump_all([msgspec.to_builtins(_sorted(lock))])).encode()
    if file.is_file() and file.read_bytes() == content:
        return False
    write_whole(file, content)
    # it is for everybody, as the files beside it
    file.chmod(_READABLE)
    return True


def place(folder: Path, *path: str) -> Location:
    """Where an entry stands in the lock."""
    file = folder / LOCK_FILE
    tree = yaml.parse(read(file), shown(file))
    return nodes.place(tree, *path) if isinstance(tree, Mapping) else Location(shown(file))


def _sorted(lock: Lock) -> Lock:
    fields = {name: getattr(lock, name) for name in lock.__struct_fields__}
    ordered = {name: dict(sorted(value.items())) for name, value in fields.items() if isinstance(value, dict)}
    return msgspec.structs.replace(lock, **ordered)


def _check_version(tree: Mapping) -> None:
    node = tree.get("version")
    if isinstance(node, Scalar) and isinstance(node.value, int) and node.value > VERSION:
        message = f"the lock is of version {node.value}, and this innerloop knows {VERSION}"
        raise LaterLock(message, where=node.where, hint="upgrade innerloop")
