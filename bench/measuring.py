"""Samples and how they are told: medians, since machines are noisy, and ratios within one run."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec


class NotMeasured(Exception):
    """What was to be measured did not happen; tells what and why."""


class Figure(msgspec.Struct, frozen=True):
    """Samples of one measurement."""

    name: str
    unit: str
    samples: tuple[float, ...]
    goal: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    def percentile(self, share: int) -> float:
        """The smallest sample that at least ``share`` percent of all samples do not exceed."""
        ordered = sorted(self.samples)
        return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def timed(action: Callable[[], object], *, runs: int, warm_up: int = 1) -> tuple[float, ...]:
    """Seconds that each of ``runs`` calls took, behind ``warm_up`` calls that do not count."""
    for _ in range(warm_up):
        action()
    return tuple(seconds(action) for _ in range(runs))


def seconds(action: Callable[[], object]) -> float:
    """Seconds that one call took."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def command(
    argv: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Callable[[], str]:
    """An action that runs a program and returns its stdout; raises CalledProcessError with stderr shown.

    ``env`` adds to the process's own environment.
    """

    def action() -> str:
        completed = subprocess.run(argv, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True)
        if completed.returncode:
            print(completed.stdout[-2000:], completed.stderr[-2000:])
            completed.check_returncode()
        return completed.stdout

    return action


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = ["| what | median | min | max | n | to reach |", "|---|---|---|---|---|---|"]
    for figure in figures:
        values = " | ".join(shown(value, figure.unit) for value in (figure.median, *_extremes(figure)))
        lines.append(f"| {figure.name} | {values} | {len(figure.samples)} | {figure.goal} |")
    return "\n".join(lines)


def shown(value: float, unit: str) -> str:
    """A value for people; without a unit it is a count."""
    if unit == "s":
        milliseconds = f"{value * 1000:.1f} ms" if abs(value) < 0.02 else f"{value * 1000:.0f} ms"
        return milliseconds if value < 1 else f"{value:.2f} s"
    return f"{value:.2f} {unit}" if unit else f"{value:.0f}"


def _extremes(figure: Figure) -> tuple[float, float]:
    return min(figure.samples), max(figure.samples)
