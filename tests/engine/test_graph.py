"""The graph runs what a change reaches, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from innerloop.engine.graph import Graph, Output, Step, Values, upto
from innerloop.errors import LoopError


class Kitchen:
    """Steps whose outputs come from ``stock``, and a record of what ran."""

    def __init__(self, **stock: str) -> None:
        self.stock = stock
        self.ran: list[str] = []

    def step(self, name: str, *needs: str, spec: object = None) -> Step:
        async def run(values: Values) -> Output:
            self.ran.append(name)
            text = self.stock.get(name, name) + "".join(str(value) for value in values.values())
            return Output(text, text)

        return Step(name, needs, spec, run)

    def take(self) -> list[str]:
        ran, self.ran = sorted(self.ran), []
        return ran


async def test_a_second_run_does_nothing() -> None:
    kitchen, graph = Kitchen(), Graph()
    steps = [kitchen.step("render"), kitchen.step("apply", "render")]
    await graph.run(steps)
    kitchen.take()
    await graph.run(steps)
    assert kitchen.take() == []


async def test_a_changed_output_reaches_its_dependants_only() -> None:
    kitchen, graph = Kitchen(render="1"), Graph()
    steps = [kitchen.step("render"), kitchen.step("build"), kitchen.step("apply", "render", "build")]
    await graph.run(steps)
    kitchen.take()
    kitchen.stock["render"] = "2"
    graph.invalidate(["render"])
    await graph.run(steps)
    assert kitchen.take() == ["apply", "render"]
    assert graph.value("apply") == "apply2build"


async def test_an_equal_output_cuts_off_its_dependants() -> None:
    kitchen, graph = Kitchen(), Graph()
    steps = [kitchen.step("render"), kitchen.step("apply", "render")]
    await graph.run(steps)
    kitchen.take()
    graph.invalidate(["render"])
    await graph.run(steps)
    assert kitchen.take() == ["render"]


async def test_a_changed_spec_runs_the_step_again() -> None:
    kitchen, graph = Kitchen(), Graph()
    await graph.run([kitchen.step("render", spec={"title": "cats"})])
    kitchen.take()
    await graph.run([kitchen.step("render", spec={"title": "dogs"})])
    assert kitchen.take() == ["render"]


async def test_a_run_goes_on_behind_what_was_finished_before_a_failure() -> None:
    kitchen, graph = Kitchen(), Graph()
    broken = True

    async def apply(values: Values) -> Output:
        if broken:
            raise LoopError("no rights")
        return Output(None, "")

    steps = [kitchen.step("render"), Step("apply", ("render",), None, apply)]
    with pytest.raises(LoopError, match="no rights"):
        await graph.run(steps)
    assert kitchen.take() == ["render"]
    broken = False
    await graph.run(steps)
    assert kitchen.take() == []


async def test_an_invalidated_step_that_failed_runs_again() -> None:
    graph = Graph()
    outcomes: list[Exception | None] = [None, LoopError("syntax"), None]

    async def render(values: Values) -> Output:
        outcome = outcomes.pop(0)
        if outcome:
            raise outcome
        return Output(len(outcomes), str(len(outcomes)))

    steps = [Step("render", (), None, render)]
    await graph.run(steps)
    graph.invalidate(["render"])
    with pytest.raises(LoopError):
        await graph.run(steps)
    await graph.run(steps)
    assert graph.value("render") == 0


async def test_independent_steps_run_together() -> None:
    meeting = asyncio.Barrier(2)

    async def meet(values: Mapping[str, Any]) -> Output:
        async with asyncio.timeout(5), meeting:
            return Output(None, "")

    await Graph().run([Step("a", (), None, meet), Step("b", (), None, meet)])


def test_a_part_of_the_graph_is_closed_under_what_it_needs() -> None:
    kitchen = Kitchen()
    steps = [kitchen.step("render"), kitchen.step("compose", "render"), kitchen.step("apply", "compose")]
    assert {step.name for step in upto(steps, ["compose"])} == {"render", "compose"}


@pytest.mark.parametrize("needs", [("b",), ("nowhere",)])
async def test_a_cycle_or_a_missing_step_is_our_bug(needs: tuple[str, ...]) -> None:
    kitchen = Kitchen()
    with pytest.raises(ValueError, match="needed by itself or not there"):
        await Graph().run([kitchen.step("a", *needs), kitchen.step("b", "a")])
