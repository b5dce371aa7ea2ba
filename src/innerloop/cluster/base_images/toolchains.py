"""Toolchains of this machine that can be copied into an image as they are: self-contained folders."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from innerloop import processes

_VERSION = re.compile(r"(?:cpython-)?(\d+\.\d+\.\d+)(?:-linux-.*)?")
"""Folder names: ``3.12.1`` (pyenv), ``cpython-3.12.1-linux-x86_64-gnu`` (uv)."""


class Toolchain(NamedTuple):
    version: str
    prefix: Path


def pythons() -> list[Toolchain]:
    """The CPythons that pyenv and uv installed here, newest first.

    Only theirs: the distribution's, conda's and /usr/local's are not folders that hold a Python and nothing else.
    """
    found = [
        Toolchain(match[1], folder)
        for folder in _python_folders()
        if (match := _VERSION.fullmatch(folder.name)) and _has_python(folder, match[1])
    ]
    return sorted(found, key=lambda python: tuple(map(int, python.version.split("."))), reverse=True)


async def go() -> Toolchain | None:
    """The Go toolchain on PATH; None when there is none, or when it is scattered (distribution packages)."""
    if shutil.which("go") is None:
        return None
    answer = (await processes.run(["go", "env", "GOVERSION", "GOROOT"])).text.split()
    version, root = answer[0].removeprefix("go"), Path(answer[1])
    return None if (root / "src").is_symlink() else Toolchain(version, root)


def _python_folders() -> Iterator[Path]:
    home = Path.home()
    yield from Path(os.environ.get("PYENV_ROOT", home / ".pyenv")).glob("versions/*")
    data = Path(os.environ.get("XDG_DATA_HOME", home / ".local/share"))
    yield from Path(os.environ.get("UV_PYTHON_INSTALL_DIR", data / "uv/python")).glob("cpython-*")


def _has_python(folder: Path, version: str) -> bool:
    series = version.rpartition(".")[0]
    return not folder.is_symlink() and (folder / "bin" / f"python{series}").is_file()
