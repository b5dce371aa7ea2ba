"""What people read."""

from __future__ import annotations

import io
from typing import Literal

import pytest

from innerloop import events
from innerloop.events import Event
from innerloop.ui import terminal
from innerloop.ui.json_lines import JsonLines
from innerloop.ui.terminal import Terminal, clean, duration, fit, size


def told(*happened: Event, interactive: bool = False) -> str:
    stream = io.StringIO()
    subscriber = Terminal(stream, interactive=interactive)
    for event in happened:
        subscriber(event)
    return stream.getvalue()


def test_a_finished_step_is_one_line_with_its_duration() -> None:
    done = events.StepDone(step="render", title="render vote", seconds=0.0712, summary="5 objects")
    assert told(done) == "✓ render vote  5 objects  71 ms\n"


def test_a_failed_step_tells_cause_detail_and_hint() -> None:
    failed = events.StepFailed(
        step="build/web", title="build web", seconds=2.0, message="pip failed", detail="no such package", hint="mend it"
    )
    assert told(failed) == "✗ build web  2.0 s\n  pip failed\n  no such package\n  hint: mend it\n"


def test_without_a_terminal_a_long_step_tells_its_cause_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "QUIET_SECONDS", 0.0)
    started = events.StepStarted(step="ready/web", title="wait for web")
    waiting = events.StepProgress(step="ready/web", message="pulling the image")
    assert told(started, waiting, waiting) == "  wait for web: pulling the image\n"


def test_without_a_terminal_little_progress_is_not_told() -> None:
    started = events.StepStarted(step="apply", title="apply")
    assert told(started, events.StepProgress(step="apply", message="3 of 7 objects")) == ""


def test_without_a_terminal_what_a_step_waits_for_is_told_though_nothing_happens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    subscriber = Terminal(stream, interactive=False)
    subscriber(events.StepStarted(step="ready/web", title="wait for web"))
    for _ in range(2):
        subscriber(events.StepProgress(step="ready/web", message="no node has room"))
    subscriber.tick()
    assert stream.getvalue() == ""
    monkeypatch.setattr(terminal, "QUIET_SECONDS", 0.0)
    subscriber.tick()
    subscriber.tick()
    assert stream.getvalue() == "  wait for web: no node has room\n"


def test_without_a_terminal_a_long_step_that_tells_nothing_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "QUIET_SECONDS", 0.0)
    stream = io.StringIO()
    subscriber = Terminal(stream, interactive=False)
    subscriber(events.StepStarted(step="base-image/node", title="base image node"))
    subscriber.tick()
    subscriber.tick()
    assert stream.getvalue() == "  base image node …\n"


def test_on_a_terminal_the_status_line_goes_away_with_its_step() -> None:
    text = told(
        events.StepStarted(step="apply", title="apply"),
        events.StepDone(step="apply", title="apply", seconds=0.1),
        interactive=True,
    )
    assert text.index("… apply") < text.index("\r\x1b[2K") < text.index("✓")


def test_a_log_line_names_service_and_time() -> None:
    line = events.LogLine(service="web", pod="web-1", container="web", text="GET /", time="2026-11-23T07:00:01.5Z")
    assert told(line) == "07:00:01 web GET /\n"


@pytest.mark.parametrize(
    ("files", "deleted", "line"),
    [
        (1, 0, "⇡ web: synced main.py  1.2 kB 4 ms\n"),
        (0, 1, "⇡ web: deleted main.py  1.2 kB 4 ms\n"),
        (1, 2, "⇡ web: synced main.py, 2 of them deleted  1.2 kB 4 ms\n"),
    ],
)
def test_a_batch_names_its_paths(files: int, deleted: int, line: str) -> None:
    batch = events.Synced(
        service="web",
        pod="p",
        container="web",
        files=files,
        deleted=deleted,
        bytes=1200,
        seconds=0.004,
        paths=("main.py",),
    )
    assert told(batch) == line


def stream(state: Literal["comparing", "in sync", "interrupted", "ended"], message: str = "") -> events.SyncStream:
    return events.SyncStream(service="web", pod="web-1", container="web", state=state, message=message)


def test_an_interruption_and_its_end_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "PASSING_SECONDS", 0.0)
    again = [stream("interrupted", "no route"), stream("interrupted", "no route"), stream("comparing")]
    lines = told(stream("in sync"), *again, stream("in sync"))
    assert lines == "! web: sync to web-1 is interrupted: no route\n⇡ web: sync to web-1 goes on\n"


def test_an_interruption_that_is_soon_over_is_no_news() -> None:
    assert told(stream("interrupted", "no route"), stream("comparing"), stream("in sync"), stream("ended")) == ""


def test_an_interruption_is_told_when_it_lasts_though_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    subscriber = Terminal(output, interactive=False)
    subscriber(stream("interrupted", "no route"))
    subscriber.tick()
    assert output.getvalue() == ""
    monkeypatch.setattr(terminal, "PASSING_SECONDS", 0.0)
    subscriber.tick()
    subscriber.tick()
    assert output.getvalue() == "! web: sync to web-1 is interrupted: no route\n"


PROGRESS = events.SyncProgress(
    service="web", pod="web-1", container="web", files=500, all_files=2000, bytes=2_000_000, all_bytes=8_000_000
)
BATCH = events.Synced(service="web", pod="web-1", container="web", files=2000, deleted=0, bytes=8_000_000, seconds=1.0)


def test_on_a_terminal_a_long_batch_has_a_bar_that_goes_away_with_it() -> None:
    text = told(PROGRESS, BATCH, interactive=True)
    shown, cleared, done = text.index("sync web: █████───────────────"), text.index("\r\x1b[2K"), text.index("⇡")
    assert shown < cleared < done
    assert "500 of 2000 files, 2.0 MB of 8.0 MB" in text


def test_a_bar_goes_away_when_its_stream_breaks() -> None:
    text = told(PROGRESS, stream("interrupted", "no route"), interactive=True)
    assert text.endswith("\r\x1b[2K")


def test_without_a_terminal_a_long_batch_has_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(PROGRESS, PROGRESS) == ""
    monkeypatch.setattr(terminal, "QUIET_SECONDS", 0.0)
    assert told(PROGRESS, PROGRESS) == "  sync web: 500 of 2000 files, 2.0 MB of 8.0 MB\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        ("\x1b[2Jgone", "[2Jgone"),
        ("a\rb\x07", "ab"),
        ("\x1b]0;title\x07", "]0;title"),
    ],
)
def test_a_container_cannot_move_the_cursor(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0004, "0 ms"), (0.9996, "1.0 s"), (1.25, "1.2 s"), (125, "2 min 05 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(999, "999 B"), (1000, "1.0 kB"), (2_000_000_000, "2.0 GB")])
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(("text", "expected"), [("abc", "abc"), ("abcdef", "abc…"), ("漢字漢字", "漢…")])
def test_a_line_is_cut_to_the_columns(text: str, expected: str) -> None:
    assert fit(text, 4) == expected


def test_json_lines_name_the_event() -> None:
    stream = io.StringIO()
    JsonLines(stream)(events.Notice(level="info", message="hello"))
    assert stream.getvalue() == '{"event":"notice","level":"info","message":"hello","detail":"","hint":""}\n'
