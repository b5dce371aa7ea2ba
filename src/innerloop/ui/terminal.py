"""Events as lines for people.

One line per finished step, log line, batch or notice; steps under way share one status line at the bottom, where
stdout is a terminal. Plain writes and ANSI codes: a table library would cost a hundred times more per log line.
"""

from __future__ import annotations

import re
import shutil
import time
import unicodedata
from typing import NamedTuple, TextIO

from innerloop import events
from innerloop.events import Event

GREEN, RED, YELLOW, CYAN, DIM, BOLD = "32", "31", "33", "36", "2", "1"
SERVICE_COLOURS = ("36", "35", "34", "33", "32", "96", "95", "94", "93", "92")

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]|\x1b(?!\[[0-9;]*m)")
"""What a log line must not do to the terminal: everything but text and colours."""


QUIET_SECONDS = 3.0
"""How long a step runs, where there is no status line, until its progress is told, and then between two lines."""


PASSING_SECONDS = 1.0
"""An interruption that is over sooner is no news."""

BAR = 20
"""Columns of a bar."""


class _Running(NamedTuple):
    title: str
    message: str
    told: float
    """When the step last had a line, or began."""
    untold: bool = False
    """Whether the message, or that the step runs at all, is yet to be told."""


class _Interrupted(NamedTuple):
    """A stream of sync that broke."""

    event: events.SyncStream
    since: float
    told: bool = False


class Terminal:
    """Subscriber that writes to a text stream.

    ``interactive``: the stream is a terminal, so colours and the status line make sense.
    """

    def __init__(self, stream: TextIO, *, interactive: bool, verbose: bool = False) -> None:
        self._stream = stream
        self._interactive = interactive
        self._verbose = verbose
        self._running: dict[str, _Running] = {}
        self._interrupted: dict[str, _Interrupted] = {}
        self._status_shown = False
        self._colours: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        """Take one event. Raises OSError when the stream takes nothing."""
        self._write(self._lines(event))

    def tick(self) -> None:
        """Tell what is due though nothing happens; to be called every second or so. Raises as for an event."""
        lines = [line for step in self._running for line in self._overdue(step)]
        if lines := [*lines, *(line for step in self._interrupted for line in self._lasting(step))]:
            self._write(lines)

    def _write(self, lines: list[str]) -> None:
        self._clear_status()
        for line in lines:
            self._stream.write(line + "\n")
        self._show_status()
        self._stream.flush()

    def close(self) -> None:
        """Leave the terminal without a status line."""
        self._running.clear()
        self._clear_status()
        self._stream.flush()

    def _lines(self, event: Event) -> list[str]:
        match event:
            case events.StepStarted():
                self._running[event.step] = _Running(event.title, "", time.monotonic(), untold=True)
                return []
            case events.StepProgress():
                return self._progress(event)
            case events.StepOutput():
                return [self._paint(DIM, f"  {clean(event.text)}")] if self._verbose else []
            case events.StepDone():
                self._running.pop(event.step, None)
                summary = f"  {event.summary}" if event.summary else ""
                seconds = self._paint(DIM, duration(event.seconds))
                return [f"{self._paint(GREEN, '✓')} {event.title}{summary}  {seconds}"]
            case events.StepFailed():
                self._running.pop(event.step, None)
                head = f"{self._paint(RED, '✗')} {event.title}  {self._paint(DIM, duration(event.seconds))}"
                return [head, *self._explained(event.message, event.detail, event.hint)]
            case events.LogLine():
                return [self._log(event)]
            case events.Forwarding():
                return self._forwarding(event)
            case events.SyncStream() | events.SyncProgress() | events.Synced():
                return self._of_sync(event)
            case events.ProcessState():
                return self._process(event)
            case events.Notice():
                mark = {"info": "·", "warning": self._paint(YELLOW, "!"), "error": self._paint(RED, "✗")}[event.level]
                return [f"{mark} {event.message}", *self._explained("", event.detail, event.hint)]
            case events.SessionReady():
                return self._ready(event)
            case events.Promoted():
                return self._promoted(event)
            case events.SessionEnded():
                self._running.clear()
                return [f"{self._paint(DIM, '·')} {event.project}: {event.reason}"]
        return []

    def _progress(self, event: events.StepProgress) -> list[str]:
        running = self._running.get(event.step) or _Running(event.step, "", time.monotonic())
        untold = running.untold or event.message != running.message
        self._running[event.step] = running._replace(message=event.message, untold=untold)
        return self._overdue(event.step)

    def _overdue(self, step: str) -> list[str]:
        """The line of a step that takes its time: told now and then, where no status line tells all the time."""
        running, now = self._running[step], time.monotonic()
        if self._interactive or not running.untold or now - running.told < QUIET_SECONDS:
            return []
        self._running[step] = running._replace(told=now, untold=False)
        return [f"  {running.title}: {running.message}" if running.message else f"  {running.title} …"]

    def _forwarding(self, event: events.Forwarding) -> list[str]:
        where = f"{event.address}:{event.local} → {event.service}:{event.remote}"
        if event.state == "up":
            return [f"{self._paint(GREEN, '↔')} {where}"]
        colour = RED if event.state == "failed" else YELLOW
        return [f"{self._paint(colour, '↔')} {where} {event.state}{': ' + event.message if event.message else ''}"]

    def _of_sync(self, event: events.SyncStream | events.SyncProgress | events.Synced) -> list[str]:
        step = f"sync/{event.service}/{event.pod}/{event.container}"
        if isinstance(event, events.SyncProgress):
            running = self._running.get(step) or _Running(f"sync {event.service}", "", time.monotonic())
            self._running[step] = running
            return self._progress(events.StepProgress(step=step, message=self._amount(event)))
        self._running.pop(step, None)
        return self._stream_state(step, event) if isinstance(event, events.SyncStream) else [self._synced(event)]

    def _stream_state(self, step: str, event: events.SyncStream) -> list[str]:
        if event.state == "interrupted":
            # a restarted container's comes back at once
            first = self._interrupted.get(step) or _Interrupted(event, time.monotonic())
            self._interrupted[step] = first._replace(event=event)
            return self._lasting(step)
        former = self._interrupted.pop(step, None) if event.state in ("in sync", "ended") else None
        if former is None or not former.told or event.state == "ended":
            return []
        return [f"{self._paint(GREEN, '⇡')} {event.service}: sync to {event.pod} goes on"]

    def _lasting(self, step: str) -> list[str]:
        """The lines of an interruption that lasts."""
        found = self._interrupted[step]
        if found.told or time.monotonic() - found.since < PASSING_SECONDS:
            return []
        self._interrupted[step] = found._replace(told=True)
        event = found.event
        head = f"{self._paint(YELLOW, '!')} {event.service}: sync to {event.pod} is interrupted: {event.message}"
        return [head, *self._explained("", event.detail, event.hint)]

    def _amount(self, event: events.SyncProgress) -> str:
        amount = f"{event.files} of {event.all_files} files, {size(event.bytes)} of {size(event.all_bytes)}"
        share = event.bytes / event.all_bytes if event.all_bytes else event.files / max(event.all_files, 1)
        return f"{bar(share)} {amount}" if self._interactive else amount

    def _synced(self, event: events.Synced) -> str:
        changes = [f"{event.files} file{'s' * (event.files != 1)}"] if event.files or not event.deleted else []
        changes += [f"{event.deleted} deleted"] if event.deleted else []
        named = " ".join(event.paths[:3]) + (" …" if len(event.paths) > 3 else "")
        what = named if named and not event.initial else ", ".join(changes)
        what += f", {event.deleted} of them deleted" if what == named and event.files and event.deleted else ""
        action = f", {event.action}" if event.action else ""
        kind = "in sync" if event.initial else "synced" if event.files or not event.deleted else "deleted"
        timing = self._paint(DIM, f"{size(event.bytes)} {duration(event.seconds)}")
        arrow = self._paint(CYAN, "⇡" if event.direction == "up" else "⇣")
        return f"{arrow} {event.service}: {kind} {what}{action}  {timing}"

    def _process(self, event: events.ProcessState) -> list[str]:
        if event.state != "exited":
            return []
        return [
            f"{self._paint(YELLOW, '!')} {event.service}: the process ended: {event.message}; save to start it anew"
        ]

    def _ready(self, event: events.SessionReady) -> list[str]:
        place = self._paint(DIM, f"{event.namespace} on {event.context}, {duration(event.seconds)}")
        lines = [f"{self._paint(GREEN + ';' + BOLD, 'ready')} {event.project}  {place}"]
        return lines + [f"  {self._paint(CYAN, url)}" for url in event.urls]

    def _promoted(self, event: events.Promoted) -> list[str]:
        place = f"{event.project} in {event.environment}"
        if event.state == "unchanged":
            return [f"{self._paint(GREEN, '✓')} {place} is up to date: {event.base} has the same"]
        what = f"pull request {event.number}" if event.number else f"branch {event.branch}"
        done = "is open already, unchanged" if event.state == "already proposed" else "is ready for review"
        if not event.number:
            done = "is there already, unchanged" if event.state == "already proposed" else "is pushed"
        lines = [f"{self._paint(GREEN + ';' + BOLD, what)} {done}: {place}, {event.changes}"]
        if event.url:
            lines.append(f"  {self._paint(CYAN, event.url)}")
        if not event.number:
            lines.append(f"  open a pull request from {event.branch} to {event.base}")
        return lines

    def _log(self, event: events.LogLine) -> str:
        moment = event.time[11:19] if len(event.time) >= 19 else "--:--:--"
        source = event.service if event.container in ("", event.service) else f"{event.service}/{event.container}"
        return f"{self._paint(DIM, moment)} {self._paint(self._colour(event.service), source)} {clean(event.text)}"

    def _explained(self, message: str, detail: str, hint: str) -> list[str]:
        lines = [f"  {line}" for text in (message, detail) if text for line in text.splitlines()]
        return lines + ([f"  {self._paint(CYAN, 'hint:')} {hint}"] if hint else [])

    def _colour(self, service: str) -> str:
        if service not in self._colours:
            self._colours[service] = SERVICE_COLOURS[len(self._colours) % len(SERVICE_COLOURS)]
        return self._colours[service]

    def _paint(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._interactive else text

    def _show_status(self) -> None:
        if not self._interactive or not self._running:
            return
        parts = [f"{one.title}{': ' + one.message if one.message else ''}" for one in self._running.values()]
        columns = shutil.get_terminal_size().columns
        self._stream.write("\x1b[2m" + fit(f"… {' · '.join(parts)}", columns - 1) + "\x1b[0m")
        self._status_shown = True

    def _clear_status(self) -> None:
        if self._status_shown:
            self._stream.write("\r\x1b[2K")
            self._status_shown = False


def clean(text: str) -> str:
    """Text from a container or program without what could move the cursor or change the terminal's state."""
    return CONTROL.sub("", text)


def duration(seconds: float) -> str:
    """``4 ms``, ``1.3 s``, ``2 min 05 s``."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"


def size(count: int) -> str:
    """``812 B``, ``4.1 kB``, ``2.0 MB``."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def bar(share: float) -> str:
    """How much of a whole, as a bar: ``████████────────────``."""
    full = round(min(max(share, 0.0), 1.0) * BAR)
    return "█" * full + "─" * (BAR - full)


def fit(text: str, columns: int) -> str:
    """As much of one line as fits, counting wide characters as two columns."""
    used = 0
    for index, character in enumerate(text):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used > columns:
            return text[: max(index - 1, 0)] + "…"
    return text
