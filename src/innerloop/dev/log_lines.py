"""Lines of container logs with their times, and where reading goes on after a break.

With ``timestamps`` the kubelet puts RFC 3339 with nine decimals and a space before each line, none before the rest
of a line that came in pieces. ``sinceTime`` is cut to whole seconds on its way, so after a break the lines of the
last second come again; their times, and how many lines had the very same time, tell which are new.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

_STAMPED = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)) ")

_TIME = re.compile(r"^([^.]{19})\.?(\d*)(.*)$")


class StampedLine(NamedTuple):
    time: str
    """RFC 3339; empty for the rest of a line whose beginning came before."""
    text: str


def split_line(line: bytes) -> StampedLine:
    """Time and text of a line; bytes that are no UTF-8 are replaced, a terminal's carriage return is removed."""
    found = _STAMPED.match(line)
    text = line[found.end() :] if found else line
    return StampedLine(found[1].decode() if found else "", text.removesuffix(b"\r").decode(errors="replace"))


def nanoseconds(time: str) -> int:
    """RFC 3339 as nanoseconds since 1970."""
    seconds, fraction, zone = _TIME.findall(time)[0]
    return int(datetime.fromisoformat(seconds + zone).timestamp()) * 10**9 + int(fraction.ljust(9, "0"))


class Position:
    """How far a container's log has been read."""

    def __init__(self) -> None:
        self.time = ""
        """Of the last line."""
        self._same = 0
        self._skip_until: tuple[int, int] | None = None

    def resume(self) -> None:
        """What comes next was asked for from ``time`` on, and may have been read before."""
        if self.time:
            self._skip_until = (nanoseconds(self.time), self._same)

    def take(self, line: StampedLine) -> bool:
        """Take note of a line; returns whether it is new."""
        if self._skip_until is not None and self._is_old(line):
            return False
        if line.time:
            self._same = self._same + 1 if line.time == self.time else 1
            self.time = line.time
        return True

    def _is_old(self, line: StampedLine) -> bool:
        assert self._skip_until is not None
        if not line.time:
            return True
        last, same = self._skip_until
        moment = nanoseconds(line.time)
        if moment < last:
            return True
        if moment == last and same:
            self._skip_until = (last, same - 1)
            return True
        self._skip_until = None
        return False
