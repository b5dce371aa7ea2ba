"""The graph of a session's steps: what runs, what is still good, what a change reaches.

A step runs when it never ran, when its ``spec`` changed, when it was invalidated, or when the digest of an output
it used changed. A step whose output is the same as before does not make its dependants run (early cut-off), so a
comment in a chart's values re-renders and stops there. Independent steps run together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from innerloop.errors import single_failure


class Output(NamedTuple):
    value: Any
    digest: str
    """Equal digests mean outputs that dependants need not look at again."""


Values = Mapping[str, Any]
"""Name of each needed step to its output's value."""


class Step(NamedTuple):
    name: str
    needs: tuple[str, ...]
    spec: object
    """What the step was made from; compared with ``==`` when the graph is made anew."""
    run: Callable[[Values], Awaitable[Output]]


class _Memo(NamedTuple):
    spec: object
    used: dict[str, str]
    output: Output


class Graph:
    """Remembers outputs from run to run. One run at a time."""

    def __init__(self) -> None:
        self._memos: dict[str, _Memo] = {}
        self._invalid: set[str] = set()

    def invalidate(self, names: Iterable[str]) -> None:
        """Let these steps run again at the next run, whatever their inputs."""
        self._invalid.update(names)

    def value(self, name: str) -> Any:
        """The last output's value of a step, None when it has none."""
        memo = self._memos.get(name)
        return memo.output.value if memo else None

    async def run(self, steps: Sequence[Step]) -> None:
        """Bring all steps up to date; the first failure ends the run and is raised.

        What had been finished by then stays good, so the next run goes on from there.
        """
        names = {step.name for step in steps}
        self._memos = {name: memo for name, memo in self._memos.items() if name in names}
        tasks: dict[str, asyncio.Task[Output]] = {}
        try:
            async with asyncio.TaskGroup() as group:
                for step in in_order(steps):
                    needs = {name: tasks[name] for name in step.needs}
                    tasks[step.name] = group.create_task(self._up_to_date(step, needs), name=step.name)
        except BaseExceptionGroup as failures:
            raise single_failure(failures) from None

    async def _up_to_date(self, step: Step, needs: Mapping[str, asyncio.Task[Output]]) -> Output:
        inputs = {name: await task for name, task in needs.items()}
        used = {name: output.digest for name, output in inputs.items()}
        memo = self._memos.get(step.name)
        good = memo is not None and memo.spec == step.spec and memo.used == used
        if memo is not None and good and step.name not in self._invalid:
            return memo.output
        self._memos.pop(step.name, None)
        output = await step.run({name: output.value for name, output in inputs.items()})
        self._memos[step.name] = _Memo(step.spec, used, output)
        self._invalid.discard(step.name)
        return output


def upto(steps: Sequence[Step], names: Iterable[str]) -> list[Step]:
    """The named steps and all that they need."""
    by_name = {step.name: step for step in steps}
    wanted: dict[str, Step] = {}
    left = list(names)
    while left:
        step = by_name[left.pop()]
        if step.name not in wanted:
            wanted[step.name] = step
            left += step.needs
    return list(wanted.values())


def in_order(steps: Sequence[Step]) -> list[Step]:
    """The steps, each behind those that it needs.

    Raises ValueError for a cycle or a need that is no step: both are our bugs, users can't write either.
    """
    by_name = {step.name: step for step in steps}
    done: dict[str, Step] = {}
    visiting: set[str] = set()

    def visit(name: str) -> None:
        if name in done:
            return
        if name in visiting or name not in by_name:
            raise ValueError(f"step {name!r} is needed by itself or not there")
        visiting.add(name)
        for need in by_name[name].needs:
            visit(need)
        visiting.remove(name)
        done[name] = by_name[name]

    for step in steps:
        visit(step.name)
    return list(done.values())
