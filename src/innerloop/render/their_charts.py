"""Charts of others that take part in a render: by which name, in which version, with which content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from innerloop.config.files import shown
from innerloop.errors import Location
from innerloop.project import HelmSource
from innerloop.render import charts, trees


class TheirChart(NamedTuple):
    key: str
    """Its address and, where one is wanted, the version or range: as the project or the chart that needs it says."""
    version: str
    digest: str
    """``sha256:…`` of the archive, or of the files where it is unpacked."""


def key_of(source: HelmSource) -> str:
    """The key of a chart that is rendered itself."""
    return _key(f"{source.repo.rstrip('/')}/{source.chart}" if source.repo else source.chart, source.version)


def theirs(source: HelmSource, chart: charts.Chart) -> Iterator[TheirChart]:
    """The chart itself where it is someone else's, and those that it takes from repositories."""
    where = Location(shown(chart.folder))
    if not charts.is_local(source):
        described = charts.describe(chart.folder, where)
        yield TheirChart(key_of(source), str(described.get("version")), trees.portable_digest(chart.folder))
    elif chart.folder.is_dir():
        yield from _dependencies(chart.folder, where)


def _dependencies(folder: Path, where: Location) -> Iterator[TheirChart]:
    for entry in charts.dependencies(charts.describe(folder, where)):
        repository, name = str(entry.get("repository") or "").rstrip("/"), str(entry.get("name"))
        if not repository or repository.startswith(charts.BESIDE):
            continue
        key = _key(f"{repository}/{name}", str(entry.get("version") or ""))
        unpacked = folder / "charts" / name
        if unpacked.is_dir():
            version = str(charts.describe(unpacked, where).get("version"))
            yield TheirChart(key, version, trees.portable_digest(unpacked))
        for archive in sorted((folder / "charts").glob(f"{name}-[0-9v]*.tgz")):
            digest = hashlib.sha256(archive.read_bytes()).hexdigest()
            yield TheirChart(key, archive.stem.removeprefix(f"{name}-"), f"sha256:{digest}")


def _key(address: str, wanted: str | None) -> str:
    return f"{address} {wanted}" if wanted else address
