from __future__ import annotations

from bench.measuring import Figure
from bench.results import Result, markdown


def test_a_figure_is_a_row_with_the_tool_and_the_goal() -> None:
    rows = markdown([Result("innerloop 1.0", Figure("save", "s", (0.003, 0.004, 0.005), "p50 ≤ 10 ms"))]).splitlines()
    assert rows[2] == "| innerloop 1.0 | save | 4.0 ms | 5.0 ms | 5.0 ms | 3.0 ms | 5.0 ms | 3 | p50 ≤ 10 ms |"


def test_a_tool_without_figures_is_told_below_the_table() -> None:
    text = markdown([Result("Tilt", note="not on PATH, left out")])
    assert text.endswith("|\n\n- Tilt: not on PATH, left out")
