"""Choosing one of a list on a terminal, by arrow keys or numbers."""

from __future__ import annotations

import os
import re
import shutil
import sys
import termios
import tty
from collections.abc import Sequence
from typing import NamedTuple

_UP = (b"\x1b[A", b"\x1bOA", b"k", b"\x10")
_DOWN = (b"\x1b[B", b"\x1bOB", b"j", b"\x0e")
_CANCEL = (b"", b"\x1b", b"q", b"\x04")
_KEY = re.compile(rb"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)
_SHOWN_AT_MOST = 15


class Cursor(NamedTuple):
    row: int
    digits: str = ""
    """The number typed so far."""


def interactive() -> bool:
    """Whether there is a terminal to choose on."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def pick(names: Sequence[str], *, title: str, current: str) -> str:
    """Let the user choose one of ``names``; raises KeyboardInterrupt when they would rather not."""
    cursor = Cursor(names.index(current) if current in names else 0)
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    height = min(len(names), _SHOWN_AT_MOST, max(shutil.get_terminal_size().lines - 2, 1))
    _write(f"{title} (arrow keys or numbers, Enter; q to leave it)\n")
    try:
        # signals stay the terminal's: ^C raises KeyboardInterrupt
        tty.setcbreak(terminal)
        while True:
            lines = _lines(names, cursor.row, height, current)
            _write("".join(f"{line}\x1b[K\n" for line in lines))
            # several keys may arrive at once; none at all is the terminal's end
            for key in _KEY.findall(os.read(terminal, 64)) or [b""]:
                if key in (b"\r", b"\n"):
                    return names[cursor.row]
                if key in _CANCEL:
                    raise KeyboardInterrupt
                cursor = moved(cursor, key, len(names))
            _write(f"\x1b[{len(lines)}A")
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def moved(cursor: Cursor, key: bytes, count: int) -> Cursor:
    """Where a key leads among ``count`` entries; digits that follow each other are one number, from 1."""
    if key in _UP:
        return Cursor((cursor.row - 1) % count)
    if key in _DOWN:
        return Cursor((cursor.row + 1) % count)
    if not key.isdigit():
        return cursor
    for digits in (cursor.digits + key.decode(), key.decode()):
        if 0 < int(digits) <= count:
            return Cursor(int(digits) - 1, digits)
    return cursor._replace(digits="")


def _lines(names: Sequence[str], index: int, height: int, current: str) -> list[str]:
    first = min(max(index - height // 2, 0), len(names) - height)
    width = shutil.get_terminal_size().columns - 1
    lines = []
    for number in range(first, first + height):
        mark = " (current)" if names[number] == current else ""
        text = f"{'>' if number == index else ' '} {number + 1:>{len(str(len(names)))}} {names[number]}{mark}"[:width]
        lines.append(f"\x1b[7m{text}\x1b[0m" if number == index else text)
    return lines


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
