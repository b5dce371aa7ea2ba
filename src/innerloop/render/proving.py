"""Whether a chart comes out the same again: rendered a second time, as if on another day."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from innerloop.config.files import shown
from innerloop.errors import Location
from innerloop.manifest import Manifest
from innerloop.project import HelmSource, Project
from innerloop.render import volatile
from innerloop.render.charts import Chart
from innerloop.render.evidence import Evidence, Lookup, Varying, differing
from innerloop.render.files import source_name
from innerloop.render.outputs import remembered
from innerloop.render.their_charts import theirs
from innerloop.render.volatile import Call


class Proof(NamedTuple):
    """One render of a chart, and how to make another."""

    source: HelmSource
    chart: Chart
    project: Project
    inputs: tuple[object, ...]
    """Everything that the output was made from: under it the second one is remembered, too."""
    content: str
    """A hash of the chart's files."""
    template: Callable[[Path], Awaitable[str]]
    """helm's output for the chart in another folder."""
    read: Callable[[str], list[Manifest]]


async def prove(proof: Proof, output: str, evidence: Evidence) -> None:
    """Add what shows when the chart is rendered again to the evidence; once for the same inputs."""

    async def second() -> str:
        with tempfile.TemporaryDirectory(prefix="innerloop-") as temporary:
            chart = volatile.unpacked(proof.chart.folder, Path(temporary))
            return await proof.template(volatile.with_another_time(chart, Path(temporary)))

    async def find_calls() -> str:
        with tempfile.TemporaryDirectory(prefix="innerloop-") as temporary:
            return msgspec.json.encode(volatile.calls(volatile.unpacked(proof.chart.folder, Path(temporary)))).decode()

    again = await remembered(("again", *proof.inputs), second)
    calls = msgspec.json.decode(await remembered(("calls", proof.content), find_calls), type=list[Call])
    if again != output:
        evidence.varying += _varying(proof, proof.read(output), proof.read(again), calls)
    lookup = next((call for call in calls if call.function == volatile.LOOKUP), None)
    if lookup:
        evidence.lookups.append(Lookup(proof.chart.name, _place(lookup, proof.chart)))
    evidence.charts += theirs(proof.source, proof.chart)


def _varying(proof: Proof, first: list[Manifest], second: list[Manifest], calls: list[Call]) -> Iterator[Varying]:
    suspects = [call for call in calls if call.function != volatile.LOOKUP]
    for manifest in differing(first, second):
        own = [call for call in suspects if _source(call, proof) == manifest.source]
        # a template may have it from a helper
        helpers = [call for call in suspects if Path(call.file).name.startswith("_")]
        call = next(iter([*own, *helpers, *suspects]), None)
        place = _place(call, proof.chart) if call else None
        yield Varying(manifest.key, manifest.source, place, call.function if call else "")


def _source(call: Call, proof: Proof) -> str:
    """A call's template as manifests tell their origin."""
    origin = proof.chart.origin
    return source_name(origin / call.file, proof.project) if origin else f"{proof.chart.name}/{call.file}"


def _place(call: Call, chart: Chart) -> Location:
    file = shown(chart.origin / call.file) if chart.origin else f"{chart.name}/{call.file}"
    return Location(file, call.line)
