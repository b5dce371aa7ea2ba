"""Edited files as one patch, and the patch into the user's files: all of it or nothing."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from innerloop import processes
from innerloop.config.files import shown
from innerloop.errors import Location, LoopError
from innerloop.gitops.harvest.copies import text_of


class Edited(NamedTuple):
    file: Path
    before: str
    after: str

    @property
    def lines(self) -> set[int]:
        """The lines of the text before, from 1, that are replaced or removed, or that something is put in behind."""
        matcher = difflib.SequenceMatcher(None, self.before.splitlines(), self.after.splitlines(), autojunk=False)
        changed = (one for one in matcher.get_opcodes() if one[0] != "equal")
        return {line for _, begin, end, _, _ in changed for line in range(begin + 1, max(end, begin + 1) + 1)}


async def repository_of(folder: Path) -> Path | None:
    """The top of the git repository that a folder is in, None without one (or without git)."""
    with contextlib.suppress(LoopError):
        found = await processes.run(["git", "-C", str(folder), "rev-parse", "--show-toplevel"], check=False)
        return Path(found.text.rstrip("\n")) if found.code == 0 else None
    return None


def patch(files: Iterable[Edited], top: Path) -> str:
    """A patch that ``git apply`` and ``patch -p1`` take, with paths below ``top``."""
    return "".join(line for one in files if one.before != one.after for line in _patch(one, top))


async def write(files: Iterable[Edited], top: Path | None) -> None:
    """Write the edited files, all or none.

    Raises LoopError when one has changed since it was read, or has uncommitted changes in a line that is edited, or
    cannot be written. ``top`` is the repository's, None without one.
    """
    changed = [one for one in files if one.before != one.after]
    for one in changed:
        if text_of(one.file) != one.before:
            raise LoopError("changed meanwhile", where=Location(shown(one.file)), hint="run loop harvest again")
        if top is not None and (lines := sorted(one.lines & await _uncommitted(one.file, top))):
            raise LoopError(
                "this line has a change that is not committed, and would be changed again",
                where=Location(shown(one.file), lines[0]),
                hint="commit it first; or take the patch as it is: loop harvest | git apply",
            )
    _replace_all(changed)


def _patch(one: Edited, top: Path) -> Iterator[str]:
    name = one.file.relative_to(top).as_posix()
    yield f"diff --git a/{name} b/{name}\n"
    before, after = (_lines(text) for text in (one.before, one.after))
    for line in difflib.unified_diff(before, after, f"a/{name}", f"b/{name}"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    """Lines as git counts them: only a line feed ends one."""
    return re.findall(r"[^\n]*\n|[^\n]+\Z", text)


async def _uncommitted(file: Path, top: Path) -> set[int]:
    """Lines of a tracked file that differ from the last commit; of others nobody keeps an older version."""
    argv = ["git", "-C", str(top), "diff", "--no-ext-diff", "--no-color", "--unified=0", "HEAD", "--", str(file)]
    found = await processes.run(argv, check=False)
    hunks = re.findall(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", found.text, re.MULTILINE)
    return {line for begin, count in hunks for line in range(int(begin), int(begin) + int(count or 1))}


def _replace_all(files: list[Edited]) -> None:
    done: list[Edited] = []
    with contextlib.ExitStack() as stack:
        # all that is likely to fail comes before the first file is touched
        prepared = [(one, _prepared(one, stack)) for one in files]
        try:
            for one, new in prepared:
                os.replace(new, one.file.resolve())
                done.append(one)
        except OSError as error:
            for one in done:
                one.file.write_bytes(one.before.encode())
            raise LoopError(f"cannot write {error.filename}: {error.strerror}; nothing was changed") from error


def _prepared(one: Edited, stack: contextlib.ExitStack) -> str:
    """A file beside the one that it is to replace, with its mode; gone at the end where it was not used."""
    target = one.file.resolve()
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
        stack.callback(lambda: Path(name).unlink(missing_ok=True))
        with os.fdopen(handle, "wb") as stream:
            stream.write(one.after.encode())
        shutil.copymode(target, name)
    except OSError as error:
        raise LoopError(f"cannot write {one.file}: {error.strerror}; nothing was changed") from error
    return name
