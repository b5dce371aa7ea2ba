"""What came of a run with several tools, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.measuring import Figure, shown


class Result(msgspec.Struct, frozen=True):
    """A figure of a tool, or why there is none."""

    tool: str
    figure: Figure | None = None
    note: str = ""


def markdown(results: Sequence[Result]) -> str:
    """The results as a Markdown table, and the notes below it."""
    lines = ["| tool | what | p50 | p90 | p99 | min | max | n | to reach |", "|---|---|---|---|---|---|---|---|---|"]
    for result in results:
        if figure := result.figure:
            values = (figure.median, figure.percentile(90), figure.percentile(99), *extremes(figure))
            cells = (result.tool, figure.name, *(shown(value, figure.unit) for value in values))
            lines.append(f"| {' | '.join(cells)} | {len(figure.samples)} | {figure.goal} |")
    notes = [f"- {result.tool}: {result.note}" for result in results if result.note]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def extremes(figure: Figure) -> tuple[float, float]:
    return min(figure.samples), max(figure.samples)
