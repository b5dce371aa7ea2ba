"""Finding and reading the files of a project."""

from __future__ import annotations

from pathlib import Path

from innerloop.errors import Location, LoopError

FILE_NAMES = ("loop.yaml", "loop.yml")

_SMALLEST = """\
name: shop
images:
  web: ./web
manifests:
  - files: deploy/*.yaml
dev:
  web: {sync: "web:/app"}"""


def find(file: Path | None, start: Path) -> Path:
    """The project's file: the given one (or in the given folder), else the nearest in ``start`` and its parents.

    Raises LoopError when there is none.
    """
    if file is not None:
        return _given(file if file.is_absolute() else start / file)
    for folder in (start, *start.parents):
        if found := in_folder(folder):
            return found
    raise LoopError(
        f"no loop.yaml in {start} or a folder above it",
        detail=f"The smallest useful one:\n\n{_SMALLEST}\n",
        hint="write one, change to the project's folder, or name the file with -f",
    )


def shown(file: Path) -> str:
    """A file as messages name it: relative where it is below the working directory."""
    folder = Path.cwd()
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)


def read(file: Path) -> str:
    """The text of a file. Raises LoopError when it cannot be read as UTF-8."""
    where = Location(shown(file))
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise LoopError(f"byte {error.start + 1} is not text in UTF-8", where=where) from error
    except FileNotFoundError as error:
        raise LoopError("no such file", where=where) from error
    except OSError as error:
        raise LoopError(f"cannot be read: {error.strerror}", where=where) from error


def in_folder(folder: Path) -> Path | None:
    """The project's file in a folder itself, None when there is none."""
    return next((folder / name for name in FILE_NAMES if (folder / name).is_file()), None)


def _given(file: Path) -> Path:
    if file.is_dir():
        found = in_folder(file)
        if found is None:
            raise LoopError(f"no loop.yaml in {file}")
        return found
    if not file.exists():
        raise LoopError(f"{file} does not exist", hint="-f takes a loop.yaml or the folder that has it")
    return file
