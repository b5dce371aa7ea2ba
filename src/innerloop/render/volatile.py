"""Functions of chart templates that give another result each time, or on each machine.

Those of sprig 3 that helm 3 and 4 offer, and helm's own ``lookup``.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from innerloop.render import trees

RANDOM = frozenset(
    "randAlphaNum randAlpha randNumeric randAscii randBytes randInt shuffle uuidv4 genPrivateKey genCA genCAWithKey"
    " genSelfSignedCert genSelfSignedCertWithKey genSignedCert genSignedCertWithKey htpasswd bcrypt encryptAES".split()
)
TIME = frozenset("now ago date dateInZone date_in_zone htmlDate htmlDateInZone".split())
"""Those that format a date take the present one for what is none."""
LOOKUP = frozenset(("lookup",))

ANOTHER_TIME = '(toDate "2006-01-02" "2001-02-03")'

_ACTION = re.compile(r"\{\{-?\s*(?!\s*/\*).*?\}\}", re.DOTALL)
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|`[^`]*`|(?<![\w.$])[A-Za-z_]\w*')


class Use(NamedTuple):
    """A call of such a function in a template."""

    file: Path
    line: int
    function: str


def uses(chart: Path, functions: Iterable[str]) -> Iterator[Use]:
    """The calls in a chart's templates, those of unpacked charts inside it included, by file and line."""
    wanted = frozenset(functions)
    for file in _templates(chart):
        yield from _in_file(file, wanted)


def with_another_time(chart: Path, folder: Path) -> Path:
    """A chart whose templates are told another time by ``now``: a copy below ``folder``, itself if none asks."""
    asking = {use.file for use in uses(chart, ("now",))}
    if not asking:
        return chart
    copy = folder / chart.name
    shutil.copytree(chart, copy, ignore_dangling_symlinks=True)
    for file in asking:
        text = file.read_text(encoding="utf-8-sig")
        (copy / file.relative_to(chart)).write_text(_replaced(text, "now", ANOTHER_TIME))
    return copy


def _templates(chart: Path) -> Iterator[Path]:
    for file in trees.files_below(chart):
        if file.is_relative_to(chart) and "templates" in file.relative_to(chart).parts[:-1]:
            yield file


def _in_file(file: Path, functions: frozenset[str]) -> Iterator[Use]:
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    if not any(function in text for function in functions):
        return
    for action in _ACTION.finditer(text):
        for token in _TOKEN.finditer(text, action.start(), action.end()):
            if token[0] in functions:
                yield Use(file, text.count("\n", 0, token.start()) + 1, token[0])


def _replaced(text: str, function: str, replacement: str) -> str:
    swap: Callable[[re.Match[str]], str] = lambda token: replacement if token[0] == function else token[0]  # noqa: E731
    return _ACTION.sub(lambda action: _TOKEN.sub(swap, action[0]), text)
