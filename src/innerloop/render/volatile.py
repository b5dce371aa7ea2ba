"""Functions of chart templates that give another result each time, or on each machine.

Those of sprig 3 that helm 3 and 4 offer, and helm's own ``lookup``.
"""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from innerloop.render import trees

RANDOM = frozenset(
    "randAlphaNum randAlpha randNumeric randAscii randBytes randInt shuffle uuidv4 genPrivateKey genCA genCAWithKey"
    " genSelfSignedCert genSelfSignedCertWithKey genSignedCert genSignedCertWithKey htpasswd bcrypt encryptAES".split()
)
TIME = frozenset("now ago date dateInZone date_in_zone htmlDate htmlDateInZone".split())
"""Those that format a date take the present one for what is none."""
LOOKUP = "lookup"
FUNCTIONS = RANDOM | TIME | {LOOKUP}

_ARCHIVES = "charts/*.tgz"
_ANOTHER_TIME = '(toDate "2006-01-02" "2001-02-03")'
# comments are no actions
_ACTION = re.compile(r"\{\{-?\s*(?!/\*).*?\}\}", re.DOTALL)
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|`[^`]*`|(?<![\w.$])[A-Za-z_]\w*')


class Call(NamedTuple):
    """A call of such a function in a template."""

    file: str
    """Relative to the chart's folder, with ``/``; charts in it are folders below ``charts``."""
    line: int
    function: str


def unpacked(chart: Path, folder: Path) -> Path:
    """A chart in which the charts that it has as archives, and theirs, are folders: itself, or a copy in ``folder``."""
    if chart.is_file():
        copy = _extract(chart, folder)
    elif not any(chart.rglob(_ARCHIVES)):
        return chart
    else:
        copy = _copy(chart, folder / "unpacked")
    while archives := sorted(copy.rglob(_ARCHIVES)):
        for archive in archives:
            _extract(archive, archive.parent)
            archive.unlink()
    return copy


def calls(chart: Path) -> list[Call]:
    """The calls in an unpacked chart's templates, by file and line."""
    return [Call(name, *found) for name, file in _templates(chart) for found in _in_text(_read(file))]


def with_another_time(chart: Path, folder: Path) -> Path:
    """An unpacked chart whose templates are told another time by ``now``: itself, or a copy in ``folder``."""
    asking = {name: text for name, file in _templates(chart) if "now" in (text := _read(file))}
    if not asking:
        return chart
    copy = _copy(chart, folder / "later")
    for name, text in asking.items():
        changed = _ACTION.sub(lambda action: _TOKEN.sub(_another_time, action[0]), text)
        (copy / name).write_text(changed, encoding="utf-8", errors="surrogateescape")
    return copy


def _copy(chart: Path, target: Path) -> Path:
    return Path(shutil.copytree(chart, target, ignore_dangling_symlinks=True))


def _extract(archive: Path, folder: Path) -> Path:
    """Unpack the files of a chart's archive; returns the folder of the chart's name, which all of them are in."""
    names: set[str] = set()
    with tarfile.open(archive) as opened:
        for member in opened:
            path = PurePosixPath(member.name)
            content = opened.extractfile(member) if member.isfile() and ".." not in path.parts else None
            if content is not None and not path.is_absolute():
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
                names.add(path.parts[0])
    return folder / min(names)


def _templates(chart: Path) -> Iterator[tuple[str, Path]]:
    for file in trees.files_below(chart):
        inside = file.relative_to(chart)
        # notes are for people, and no part of the output
        if "templates" in inside.parts[:-1] and file.name != "NOTES.txt":
            yield inside.as_posix(), file


def _in_text(text: str) -> Iterator[tuple[int, str]]:
    for action in _ACTION.finditer(text):
        for token in _TOKEN.finditer(text, action.start(), action.end()):
            if token[0] in FUNCTIONS:
                yield text.count("\n", 0, token.start()) + 1, token[0]


def _another_time(token: re.Match[str]) -> str:
    return _ANOTHER_TIME if token[0] == "now" else token[0]


def _read(file: Path) -> str:
    # what is no text has no actions that anyone could read
    return file.read_text(encoding="utf-8-sig", errors="surrogateescape")
