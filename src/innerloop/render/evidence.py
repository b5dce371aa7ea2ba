"""What shows in rendering beside the objects: whether they would be the same again, and what they were made from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from innerloop.errors import Location
from innerloop.manifest import Manifest, ObjectKey
from innerloop.render.their_charts import TheirChart


class Varying(NamedTuple):
    """An object that is another one at each render."""

    key: ObjectKey
    source: str
    """As manifests tell their origin."""
    where: Location | None = None
    """The call that makes it so, where it is known."""
    function: str = ""


class Lookup(NamedTuple):
    """A chart asks the cluster, and never gets an answer."""

    chart: str
    where: Location


class Evidence:
    """Collects it while the sources are rendered; each is then rendered twice."""

    def __init__(self) -> None:
        self.varying: list[Varying] = []
        self.lookups: list[Lookup] = []
        self.charts: list[TheirChart] = []
        self.bases: list[str] = []
        """Names in kustomizations that are no local path."""


def differing(first: Iterable[Manifest], second: Iterable[Manifest]) -> list[Manifest]:
    """Objects that are not the same in both streams; of those that only the second has, one per source."""
    before = {manifest.key: manifest for manifest in first}
    after = {manifest.key: manifest for manifest in second}
    found = [one for key, one in before.items() if key not in after or after[key].object != one.object]
    told = {manifest.source for manifest in found}
    return found + [one for key, one in after.items() if key not in before and one.source not in told]
